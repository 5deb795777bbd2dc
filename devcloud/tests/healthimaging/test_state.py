"""What jobs that run at once leave in the state."""

import uuid

from isocenter.devcloud.healthimaging.events import image_set_detail
from isocenter.devcloud.healthimaging.grouping import SeriesKey
from isocenter.devcloud.healthimaging.instances import ConvertedInstance
from isocenter.devcloud.healthimaging.models import Datastore
from isocenter.devcloud.healthimaging.state import State

LEVELS = {
    "Patient": {},
    "Study": {"StudyInstanceUID": "1.2"},
    "Series": {"SeriesInstanceUID": "1.2.1"},
}


def test_a_job_tells_of_the_version_it_made_itself(tmp_path):
    """Its event may be sent when the next job has grown the image set already."""
    state = State(tmp_path / "state")
    state.datastores["d"] = Datastore("d", {}, 0, 0)

    def add(uid):
        directory = state.staging(uuid.uuid4().hex)
        (directory / "instance.json").write_text("{}")
        converted = ConvertedInstance(directory, uid, LEVELS, ())
        ((image_set, version, positions),) = state.add(
            "d", [(SeriesKey.of(LEVELS), converted)]
        )
        assert positions == [0]
        return image_set, version

    first, second = add("1.2.1.1"), add("1.2.1.2")

    assert first[0] is second[0]
    details = [image_set_detail(*each, "imageSetId") for each in (first, second)]
    assert [detail["imageSetVersion"] for detail in details] == ["1", "2"]
    assert [d["imageSetWorkflowStatus"] for d in details] == ["CREATED", "UPDATED"]
