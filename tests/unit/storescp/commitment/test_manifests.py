from datetime import timedelta

import pytest

from isocenter.core.errors import UnavailableError
from isocenter.storescp.batches import batch_id
from isocenter.storescp.commitment.manifests import Manifests, Search
from isocenter.storescp.commitment.objects import Objects


@pytest.fixture
def seal(s3, make):
    """Put a manifest of a batch that was opened some hours before the request."""

    def put(hours, *instances, suffix="aa"):
        batch = batch_id(make.NOW - timedelta(hours=hours), suffix)
        s3.put(f"batches/{batch}.json", make.manifest(batch, *instances))
        return batch

    return put


@pytest.fixture
def manifests(s3, make):
    return Manifests(Objects(s3), make.BUCKET, "batches/", timedelta(hours=24))


def read(s3):
    return [key for operation, key in s3.asked if operation == "GetObject"]


def test_the_latest_version_within_the_lookback_counts(manifests, seal, make):
    seal(25, (make.CT, "1.2.1", b"too old"))
    seal(20, (make.CT, "1.2.2", b"old"))
    latest = seal(1, (make.CT, "1.2.2", b"new"), (make.CT, "1.2.3", b"x"))
    found = manifests.find({"1.2.1", "1.2.2"}, make.NOW, Search())
    assert set(found) == {"1.2.2"}
    assert found["1.2.2"].batch == latest
    assert found["1.2.2"].key == f"DICOM/{latest}/1.2.2.dcm"
    assert found["1.2.2"].bucket == make.BUCKET


def test_a_manifest_is_read_once_and_its_finding_is_kept(manifests, seal, s3, make):
    s3.page = 1  # several pages of a listing
    seal(3, (make.CT, "1.2.1", b"x"))
    seal(2, (make.CT, "1.2.2", b"x"))
    search = Search()
    assert set(manifests.find({"1.2.1", "1.2.9"}, make.NOW, search)) == {"1.2.1"}
    assert len(read(s3)) == 2
    seal(1, (make.CT, "1.2.9", b"x"))
    found = manifests.find({"1.2.1", "1.2.9"}, make.NOW, search)
    assert set(found) == {"1.2.1", "1.2.9"}
    assert len(read(s3)) == 3


def test_the_search_ends_when_all_are_found(manifests, seal, s3, make):
    for hours in range(1, 6):
        seal(hours, (make.CT, "1.2.1", b"x"))
    manifests.find({"1.2.1"}, make.NOW, Search())
    assert len(read(s3)) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"instances": [3]}', b"\xff"])
def test_what_is_no_manifest_names_nothing(manifests, s3, make, body):
    s3.put(f"batches/{batch_id(make.NOW, 'aa')}.json", body)
    assert manifests.find({"1.2.1"}, make.NOW, Search()) == {}


def test_s3_away_is_said(manifests, s3, make):
    s3.away = True
    with pytest.raises(UnavailableError):
        manifests.find({"1.2.1"}, make.NOW, Search())


def test_many_instances_are_searched_for_like_few(manifests, seal, make):
    uids = [f"1.2.{n}" for n in range(100)]
    batch = seal(1, *((make.CT, uid, b"x") for uid in uids))
    found = manifests.find(set(uids) | {"1.3"}, make.NOW, Search())
    assert set(found) == set(uids)
    assert {stored.batch for stored in found.values()} == {batch}
