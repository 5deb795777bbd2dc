import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from isocenter.storescp.batches import batch_id
from isocenter.storescp.commitment.decision import Finding
from isocenter.storescp.commitment.imports import Imports
from isocenter.storescp.commitment.manifests import Manifests, Search
from isocenter.storescp.commitment.objects import Objects
from isocenter.storescp.commitment.request import Reference
from isocenter.storescp.commitment.whereabouts import Whereabouts

UID = "1.2.1"


@pytest.fixture
def look(s3, index, make, tmp_path):
    """What is found out about one instance."""
    made = []

    def ask(sop_class=make.CT, *, imported=False, search=None):
        objects = Objects(s3)
        whereabouts = Whereabouts(
            index,
            tmp_path,
            objects,
            Manifests(objects, make.BUCKET, "batches/", timedelta(hours=24)),
            Imports(objects, "import-output/") if imported else None,
        )
        made.append(whereabouts)
        reference = Reference(sop_class, UID)
        found = whereabouts.look([reference], make.NOW, search or Search())
        assert set(found) == {UID}
        return found[UID]

    yield ask
    for whereabouts in made:
        whereabouts.close()


def test_committed_is_what_s3_has_with_the_bytes_of_the_acknowledgement(
    look, index, s3
):
    s3.put(index.add(UID, b"a file").key, b"a file")
    assert look() is Finding.COMMITTED


def test_an_index_alone_commits_nothing(look, index):
    index.add(UID)
    assert look() is Finding.UNKNOWN


def test_other_bytes_in_s3_are_not_committed(look, index, s3, caplog):
    s3.put(index.add(UID, b"a file").key, b"another")
    assert look() is Finding.SPOILED
    assert "other bytes" in caplog.text


def test_an_object_without_a_digest_of_the_whole_is_believed_to_be_there(
    look, index, s3, monkeypatch
):
    s3.put(index.add(UID, b"a file").key, b"a file")
    parts = {"ChecksumSHA256": "c2hhMjU2-3", "ChecksumType": "COMPOSITE"}
    monkeypatch.setattr(s3, "head_object", lambda **request: parts)
    assert look() is Finding.COMMITTED


def test_a_compressed_object_has_another_digest(look, index, s3):
    row = index.add(UID, b"a file")
    row.key += ".gz"
    s3.put(row.key, b"compressed")
    assert look() is Finding.COMMITTED
    row.object_sha256 = hashlib.sha256(b"otherwise").hexdigest()
    assert look() is Finding.SPOILED


@pytest.fixture
def spooled(index, tmp_path):
    """Add what is on the volume, and in the index as that."""

    def add(*args, **named):
        (tmp_path / "file").write_bytes(b"")
        return index.add(UID, *args, state="spooled", place="file", **named)

    return add


def test_what_is_on_the_volume_only_waits(look, spooled):
    spooled()
    assert look() is Finding.PENDING


def test_every_version_must_be_in_s3(look, index, s3, spooled):
    s3.put(index.add(UID, b"one", batch="b1").key, b"one")
    spooled(b"two", batch="b2")
    assert look() is Finding.PENDING


def test_of_what_has_left_the_volume_s3_is_asked(look, spooled, s3, tmp_path):
    """A kill may lose the index's row that says so."""
    row = spooled(b"a file")
    (tmp_path / row.place).unlink()
    assert look() is Finding.UNKNOWN
    s3.put(row.key, b"a file")
    assert look() is Finding.COMMITTED
    row.key += ".gz"
    row.object_sha256 = row.sha256  # as the index has it until the object is put
    s3.put(row.key, b"compressed")
    assert look() is Finding.COMMITTED


def test_the_latest_version_counts(look, index, s3):
    s3.put(index.add(UID, b"one", batch="b1").key, b"one")
    index.add(UID, b"two", batch="b2")
    assert look() is Finding.UNKNOWN


EARLIER, BEFORE, AT, AFTER = (
    batch_id(datetime(2026, 11, 23, hour, tzinfo=UTC), "aa") for hour in (8, 9, 10, 11)
)
QUARANTINED = [
    # batches of this pod's versions in their order, a minus for quarantine; batch that
    # a manifest names, and its bytes; what is found
    ([f"-{AT}"], None, None, Finding.SPOILED),
    ([BEFORE, f"-{AT}"], None, None, Finding.SPOILED),
    ([EARLIER, BEFORE, f"-{AT}"], None, None, Finding.SPOILED),
    ([f"-{BEFORE}", AT], None, None, Finding.COMMITTED),
    ([BEFORE, f"-{AT}", AFTER], None, None, Finding.COMMITTED),
    # Another version, of this pod or of another, that came before.
    ([BEFORE, f"-{AT}"], BEFORE, b"0", Finding.SPOILED),
    ([f"-{AT}"], BEFORE, b"other", Finding.SPOILED),
    ([f"-{AT}"], AT, b"other", Finding.SPOILED),
    # Released from quarantine, or a version that another pod took later.
    ([f"-{AT}"], AFTER, b"0", Finding.COMMITTED),
    ([BEFORE, f"-{AT}"], AFTER, b"1", Finding.COMMITTED),
    ([BEFORE, f"-{AT}"], AFTER, b"other", Finding.COMMITTED),
]


@pytest.mark.parametrize(("versions", "named", "body", "finding"), QUARANTINED)
def test_what_went_to_quarantine_is_not_stood_for_by_an_earlier_version(
    look, index, s3, make, versions, named, body, finding
):
    for number, batch in enumerate(versions):
        content = str(number).encode()
        aside = batch.startswith("-")
        row = index.add(UID, content, batch=batch.lstrip("-"), aside=aside)
        if not aside:
            s3.put(row.key, content)
    if named is not None:
        document = make.manifest(named, (make.CT, UID, body))
        s3.put(f"batches/{named}.json", document)
        s3.put(f"DICOM/{named}/{UID}.dcm", body)
    assert look() is finding


def test_what_came_after_it_and_waits_is_waited_for(look, index, spooled):
    index.add(UID, b"one", aside=True)
    spooled(b"two")
    assert look() is Finding.PENDING


def test_of_two_versions_in_a_second_the_one_in_quarantine_counts(look, index, s3):
    index.add(UID, b"one", aside=True).time = 5.2
    row = index.add(UID, b"two")
    row.time = 5.7
    s3.put(row.key, b"two")
    assert look() is Finding.SPOILED


def test_whether_it_was_released_is_unsure_while_s3_is_away(look, index, s3):
    index.add(UID, aside=True)
    s3.away = True
    assert look() is Finding.UNSURE


def test_another_sop_class_is_a_conflict(look, index, s3, make):
    s3.put(index.add(UID, b"a file").key, b"a file")
    assert look(make.MR) is Finding.CONFLICT


def test_what_another_receiver_stored_is_found_by_its_manifest(look, s3, make):
    batch = batch_id(make.NOW, "aa")
    instance = (make.CT, UID, b"a file")
    assert look() is Finding.UNKNOWN
    s3.put(f"batches/{batch}.json", make.manifest(batch, instance))
    assert look() is Finding.UNKNOWN  # removed since
    s3.put(f"DICOM/{batch}/{UID}.dcm", b"a file")
    assert look() is Finding.COMMITTED
    assert look(make.MR) is Finding.CONFLICT


def test_s3_away_is_not_an_answer(look, index, s3, caplog):
    s3.away = True
    assert look() is Finding.UNSURE
    index.add(UID)
    assert look() is Finding.UNSURE
    assert "could not be asked" in caplog.text


def test_what_a_manifest_named_is_not_forgotten_while_s3_is_away(look, s3, make):
    batch, search = batch_id(make.NOW, "aa"), Search()
    s3.put(f"batches/{batch}.json", make.manifest(batch, (make.CT, UID, b"a file")))
    assert look(search=search) is Finding.UNKNOWN
    s3.put(f"DICOM/{batch}/{UID}.dcm", b"a file")
    assert look(search=search) is Finding.COMMITTED


@pytest.mark.parametrize(
    ("most", "at_once", "finding"),
    [
        (100, 100, Finding.UNKNOWN),
        (100, 2, Finding.UNSURE),  # the next look goes on
        (2, 2, Finding.UNSEARCHED),
    ],
)
def test_what_was_not_searched_is_not_said_to_be_nowhere(
    look, s3, make, monkeypatch, most, at_once, finding
):
    where = "isocenter.storescp.commitment.manifests"
    monkeypatch.setattr(f"{where}._MOST", most)
    monkeypatch.setattr(f"{where}._MOST_AT_ONCE", at_once)
    for hours in range(10):
        batch = batch_id(make.NOW - timedelta(hours=hours), "aa")
        document = make.manifest(batch, (make.CT, "1.9", b"x"))
        s3.put(f"batches/{batch}.json", document)
    assert look() is finding


def test_a_search_that_is_not_needed_any_more_does_not_go_on(
    look, index, s3, make, monkeypatch
):
    monkeypatch.setattr("isocenter.storescp.commitment.manifests._MOST_AT_ONCE", 1)
    for hours in range(10):
        batch = batch_id(make.NOW - timedelta(hours=hours), "aa")
        s3.put(f"batches/{batch}.json", make.manifest(batch, (make.CT, "1.9", b"x")))
    search = Search()
    assert look(search=search) is Finding.UNSURE
    assert search.goes_on
    index.add(UID)  # another worker acknowledged it
    assert look(search=search, imported=True) is Finding.PENDING
    assert not search.goes_on


def test_imported_asks_healthimaging_s_output_and_not_the_object(look, index, s3):
    row = index.add(UID)
    assert look(imported=True) is Finding.PENDING
    s3.put("import-output/b1/j/SUCCESS/success.ndjson", {"inputFile": row.key})
    assert look(imported=True) is Finding.COMMITTED
    s3.away = True
    assert look(imported=True) is Finding.UNSURE


@pytest.fixture
def many(s3, index, make, tmp_path):
    """Whereabouts, and 2,000 instances that S3 has."""
    objects = Objects(s3)
    whereabouts = Whereabouts(
        index,
        tmp_path,
        objects,
        Manifests(objects, make.BUCKET, "batches/", timedelta(hours=1)),
    )
    references = []
    for number in range(2_000):
        uid = f"1.2.{number}"
        s3.put(index.add(uid, b"x").key, b"x")
        references.append(Reference(make.CT, uid))
    yield whereabouts, references
    whereabouts.close()


def test_many_instances_are_looked_at_at_once(many, make):
    whereabouts, references = many
    found = whereabouts.look(references, make.NOW, Search())
    assert set(found.values()) == {Finding.COMMITTED}
    assert len(found) == 2_000


def test_s3_away_is_told_once_and_not_asked_for_each_instance(many, make, s3, caplog):
    whereabouts, references = many
    s3.away = True
    found = whereabouts.look(references, make.NOW, Search())
    assert set(found.values()) == {Finding.UNSURE}
    assert len(s3.asked) < 50
    assert len(caplog.records) == 1


def test_some_that_always_fail_do_not_keep_the_others_from_an_answer(
    many, make, s3, monkeypatch
):
    whereabouts, references = many
    head = s3.head_object

    def first_are_denied(**request):
        if int(request["Key"].split(".")[-2]) < 40:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "HeadObject")
        return head(**request)

    monkeypatch.setattr(s3, "head_object", first_are_denied)
    left = references
    for _ in range(200):
        found = whereabouts.look(left, make.NOW, Search())
        left = [r for r in left if found[r.sop_instance_uid] is not Finding.COMMITTED]
        if len(left) == 40:
            break
    assert len(left) == 40
