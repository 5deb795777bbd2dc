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
    made = Manifests(Objects(s3), make.BUCKET, "batches/", timedelta(hours=24))
    yield made
    made.close()


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


def test_s3_away_is_said_and_no_reason_to_look_again_at_once(manifests, s3, make):
    s3.away = True
    search = Search()
    with pytest.raises(UnavailableError):
        manifests.find({"1.2.1"}, make.NOW, search)
    assert not search.goes_on


def test_what_was_found_is_kept_when_s3_goes_away(manifests, seal, s3, make):
    seal(1, (make.CT, "1.2.1", b"x"))
    old = seal(2, (make.CT, "1.2.2", b"x"))
    body = s3.objects.pop((make.BUCKET, f"batches/{old}.json"))
    s3.put(f"batches/{old}.json", b"")
    get = s3.get_object

    def goes_away(**request):
        s3.away = old in request["Key"]
        return get(**request)

    s3.get_object = goes_away
    search, uids = Search(), {"1.2.1", "1.2.2"}
    with pytest.raises(UnavailableError):
        manifests.find(uids, make.NOW, search)
    s3.get_object, s3.away = get, False
    s3.put(f"batches/{old}.json", body)
    assert set(manifests.find(uids, make.NOW, search)) == uids


def test_an_unknown_instance_is_searched_for_in_short_looks(manifests, seal, s3, make):
    for number in range(150):
        seal(number / 10, (make.CT, f"1.3.{number}", b"x"))
    s3.asked.clear()
    search, looks = Search(), []
    while not looks or search.goes_on:
        manifests.find({"1.2.1"}, make.NOW, search)
        looks.append(len(read(s3)))
    assert looks == [67, 134, 150]  # at most 64, and what was begun with
    assert search.whole
    # A second transaction reads none of them again, and what it looks for once.
    s3.asked.clear()
    second = Search()
    found = manifests.find({"1.2.1", "1.3.149"}, make.NOW, second)
    assert set(found) == {"1.3.149"}
    assert len(read(s3)) == 1
    assert second.whole


def test_a_slow_s3_ends_a_look(s3, seal, make):
    seconds = iter(range(0, 1000, 2))
    manifests = Manifests(
        Objects(s3),
        make.BUCKET,
        "batches/",
        timedelta(hours=24),
        clock=lambda: next(seconds),
    )
    for hours in range(20):
        seal(hours, (make.CT, "1.3", b"x"))
    search = Search()
    manifests.find({"1.2.1"}, make.NOW, search)
    assert 0 < len(read(s3)) < 20
    assert search.goes_on
    manifests.close()


def test_more_than_can_be_searched_is_said(manifests, seal, s3, make, monkeypatch):
    monkeypatch.setattr("isocenter.storescp.commitment.manifests._MOST", 60)
    for number in range(100):
        seal(1 + number / 10, (make.CT, f"1.3.{number}", b"x"))
    search = Search()
    assert manifests.find({"1.3.99"}, make.NOW, search) == {}
    assert search.given_up
    assert not search.whole
    assert not search.goes_on
    seal(0, (make.CT, "1.3.99", b"x"))  # sealed since
    assert set(manifests.find({"1.3.99"}, make.NOW, search)) == {"1.3.99"}


def test_of_two_versions_in_a_batch_the_latest_counts(manifests, s3, make):
    batch = batch_id(make.NOW, "aa")
    document = make.manifest(
        batch, (make.CT, "1.2.1", b"new"), (make.CT, "1.2.1", b"old")
    )
    for hour, instance in zip(("11", "10"), document["instances"], strict=True):
        instance["receivedAt"] = f"2026-11-23T{hour}:00:00Z"
    s3.put(f"batches/{batch}.json", document)
    found = manifests.find({"1.2.1"}, make.NOW, Search())
    assert found["1.2.1"].sha256 == document["instances"][0]["sha256"]


def test_many_instances_are_searched_for_like_few(manifests, seal, make):
    uids = [f"1.2.{n}" for n in range(100)]
    batch = seal(1, *((make.CT, uid, b"x") for uid in uids))
    found = manifests.find(set(uids) | {"1.3"}, make.NOW, Search())
    assert set(found) == set(uids)
    assert {stored.batch for stored in found.values()} == {batch}
