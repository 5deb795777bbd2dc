import hashlib
import io

import pydicom
import pytest
from support.instances import ct

from isocenter.core.batch import parse_manifest
from isocenter.core.errors import MalformedError, NotFoundError
from isocenter.storescp.quarantine.objects import NotPossibleError


def manifest_of(s3):
    [key] = [key for key in s3.objects if key.startswith("batches/")]
    return parse_manifest(s3.objects[key], source=key)


def test_names_are_those_of_documents(objects, put_aside, s3):
    names = {put_aside(), put_aside("bad-uid")}
    s3.objects["quarantine/release-abc.json"] = b"{}"
    s3.objects["quarantine/elsewhere"] = b""
    assert set(objects.names()) == names
    [only] = objects.names("bad-uid")
    assert only.startswith("bad-uid/")


def test_a_release_is_a_batch_with_the_data_sets_own_uids(objects, put_aside, s3):
    datasets = [ct(), ct()]
    names = [put_aside(dataset=dataset) for dataset in datasets]
    released = objects.release(names)
    manifest = manifest_of(s3)
    assert (released.batch, released.instances) == (manifest.batch, 2)
    assert {i.sop_instance_uid for i in manifest.instances} == {
        dataset.SOPInstanceUID for dataset in datasets
    }
    for instance in manifest.instances:
        body = s3.objects[instance.key]
        assert instance.key.endswith(f"{instance.sop_instance_uid}.dcm")
        assert hashlib.sha256(body).hexdigest() == instance.sha256
        assert len(body) == instance.bytes
        read = pydicom.dcmread(io.BytesIO(body))
        assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID
        assert instance.study_instance_uid == read.StudyInstanceUID
        assert instance.calling_ae == "CT1"
    assert not [key for key in s3.objects if key.startswith("quarantine/")]


def test_the_manifest_is_put_after_its_instances(objects, put_aside, s3):
    objects.release([put_aside(), put_aside()])
    puts = [key for call, key in s3.calls if call == "put"]
    [place] = [n for n, key in enumerate(puts) if key.startswith("batches/")]
    assert all(n < place for n, key in enumerate(puts) if key.startswith("DICOM/"))


def test_a_release_that_was_killed_anywhere_is_done_again(objects, put_aside, s3):
    datasets = [ct(), ct()]
    names = [put_aside(dataset=dataset) for dataset in datasets]
    before = dict(s3.objects)
    objects.release(names)
    expected, steps = dict(s3.objects), len(s3.calls)
    assert len(expected) == 3
    for step in range(steps):
        s3.objects, s3.calls, s3.die_at = dict(before), [], step
        with pytest.raises(KeyboardInterrupt):
            objects.release(names)
        s3.die_at = None
        objects.release(names)
        assert s3.objects == expected, f"killed after {step} calls"


def test_the_same_uid_with_other_bytes_is_kept_beside(objects, put_aside, s3):
    one, other = ct(), ct()
    other.SOPInstanceUID = one.SOPInstanceUID
    other.InstanceNumber = 77
    objects.release([put_aside(dataset=one), put_aside(dataset=other)])
    manifest = manifest_of(s3)
    assert len({i.key for i in manifest.instances}) == 2
    assert all(
        hashlib.sha256(s3.objects[i.key]).hexdigest() == i.sha256
        for i in manifest.instances
    )


def test_the_same_data_set_is_released_once(objects, put_aside, s3):
    dataset = ct()
    names = [put_aside(dataset=dataset, said=said) for said in ("1.2.3", "1.2.4")]
    assert objects.release(names).instances == 1
    assert len(manifest_of(s3).instances) == 1
    assert not list(objects.names())


@pytest.mark.parametrize(
    ("reason", "content", "why"),
    [
        ("not-understood", b"\x08\x00\x16\x00UI\xff\xff", "can't be imported"),
        ("not-understood", b"", "can't be imported"),
        ("damaged", None, "sent again"),
    ],
)
def test_what_cannot_be_imported_stays(objects, put_aside, s3, reason, content, why):
    name, other = put_aside(reason, content=content), put_aside()
    with pytest.raises(NotPossibleError, match=why):
        objects.release([name, other])
    assert set(objects.names()) == {name, other}
    assert not [key for key in s3.objects if key.startswith("batches/")]


def test_dropping(objects, put_aside, s3):
    objects.drop(put_aside())
    assert not s3.objects
    only = put_aside("refused-by-store")
    with pytest.raises(NotPossibleError, match="only copy"):
        objects.drop(only)
    assert list(objects.names()) == [only]
    objects.drop(only, only_copy=True)
    assert not s3.objects


def test_bytes_go_before_the_document(objects, put_aside, s3):
    objects.drop(put_aside())
    deleted = [key for call, key in s3.calls if call == "delete"]
    assert [key.rpartition(".")[2] for key in deleted] == ["dcm", "json"]


@pytest.mark.parametrize("name", ["", "x", "../../a", "mismatch/" + "g" * 64])
def test_what_is_no_name_touches_nothing(objects, s3, name):
    with pytest.raises(NotPossibleError, match="<reason>/<sha256>"):
        objects.drop(name)
    with pytest.raises(NotPossibleError):
        objects.release([name])
    assert not [call for call, _ in s3.calls if call in {"delete", "put"}]


def test_what_is_not_there_is_said(objects):
    with pytest.raises(NotFoundError):
        objects.drop("mismatch/" + "0" * 64)
    with pytest.raises(NotPossibleError, match="1 to 5000"):
        objects.release([])


def test_a_document_that_is_none_of_ours(objects, put_aside, s3):
    name = put_aside()
    s3.objects[f"quarantine/{name}.json"] = b'{"schema": 2}'
    with pytest.raises(MalformedError, match="quarantine record"):
        objects.entry(name)
