"""The fake keeps to the client that it stands for."""

import inspect
from datetime import UTC, datetime

import pytest

from isocenter.core.errors import NotFoundError
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.core.testing.healthimaging import FakeHealthImaging

METHODS = [
    name
    for name, member in vars(HealthImaging).items()
    if inspect.isfunction(member) and not name.startswith("_")
]


@pytest.mark.parametrize("name", METHODS)
def test_methods_have_the_clients_signatures(name):
    real, fake = (getattr(c, name) for c in (HealthImaging, FakeHealthImaging))
    assert inspect.signature(real) == inspect.signature(fake)


def test_search_and_versions(put, make_slice, healthimaging, datastore):
    put([make_slice(0)], version_id="1")
    content = put([make_slice(0)], version_id="2")
    (found,) = healthimaging.updated_between(
        datastore, datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    )
    assert (found.image_set_id, found.version_id) == (content.image_set_id, "2")
    state = healthimaging.image_set(datastore, content.image_set_id)
    assert (state.version_id, state.readable) == ("2", True)
    with pytest.raises(NotFoundError):
        healthimaging.image_set(datastore, content.image_set_id, "3")


@pytest.mark.parametrize(
    ("message", "last"), [(None, "COMPLETED"), ("no access", "FAILED")]
)
def test_import_jobs_walk(healthimaging, datastore, message, last):
    if message:
        healthimaging.fail_imports(message)
    arguments = {
        "datastore_id": datastore,
        "client_token": "t",
        "role_arn": "arn",
        "input_s3_uri": "s3://b/in/",
        "output_s3_uri": "s3://b/out",
        "job_name": "n",
    }
    job_id = healthimaging.start_import(**arguments)
    assert healthimaging.start_import(**arguments) == job_id
    walked = [healthimaging.import_job(datastore, job_id) for _ in range(4)]
    assert [job.status for job in walked] == ["SUBMITTED", "IN_PROGRESS", last, last]
    assert walked[-1].message == message
    assert walked[-1].output_s3_uri == f"s3://b/out/{datastore}-DicomImport-{job_id}/"
