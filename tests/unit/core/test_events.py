import pytest

from isocenter.core.errors import MalformedError
from isocenter.core.healthimaging.events import (
    ImageSetEvent,
    ImportJobEvent,
    parse_event,
)

STORE = "bbc4f3cccbae4095a34170fddc19b13d"
SET = "207284eef860ac01c4b2a8de27a6fc11"
OTHER = "5b3a711878c34d40e888253319388649"


def event(kind="Image Set Created", *, source="aws.medical-imaging", **detail):
    return {
        "id": "e-1",
        "source": source,
        "detail-type": kind,
        "resources": [
            f"arn:aws:medical-imaging:us-west-2:1:datastore/{STORE}/imageset/{OTHER}"
        ],
        "detail": {"datastoreId": STORE, **detail},
    }


@pytest.mark.parametrize(
    "kind", ["Image Set Created", "Image Set Updated", "Image Set Copied"]
)
@pytest.mark.parametrize("key", ["imagesetId", "imageSetId"])
def test_both_spellings_of_the_id(kind, key):
    parsed = parse_event(
        event(kind, **{key: SET, "imageSetVersion": "2", "isPrimary": True})
    )
    assert parsed == ImageSetEvent("e-1", kind, STORE, SET, "2", True)


def test_id_from_the_arn_and_optional_members():
    assert parse_event(event()) == ImageSetEvent(
        "e-1", "Image Set Created", STORE, OTHER, None, None
    )


@pytest.mark.parametrize("kind", ["Import Job Completed", "Import Job Failed"])
def test_import_job(kind):
    assert parse_event(event(kind, jobId=SET)) == ImportJobEvent(
        "e-1", kind, STORE, SET
    )


@pytest.mark.parametrize(
    "body",
    [
        event("HealthImaging ImageSet State Change", imageSetId=SET),
        event("Image Set Copying", imageSetId=SET),
        event(source="aws.s3", imageSetId=SET),
        {},
    ],
)
def test_nobody_waits_for_these(body):
    assert parse_event(body) is None


@pytest.mark.parametrize(
    "body",
    [
        event(imageSetId="../../etc"),
        event(imageSetId=7),
        event(imageSetId=SET + "\n"),
        {**event(imageSetId=SET), "detail": None},
        {**event(imageSetId=SET), "detail": {"imageSetId": SET}},
        {**event(), "resources": ["nonsense"]},
        event("Import Job Failed"),
    ],
)
def test_a_kind_we_wait_for_without_usable_ids(body):
    with pytest.raises(MalformedError, match="event e-1"):
        parse_event(body)
