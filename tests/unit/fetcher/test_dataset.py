import fcntl
import json
import os

import numpy as np
import pytest

from isocenter.core.dataset import MANIFEST_NAME, OmissionReason, parse_dataset
from isocenter.core.run_request import ImageSetRef, RunRequest
from isocenter.core.testing.image_sets import (
    EXPLICIT_LITTLE_ENDIAN,
    HTJ2K,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000,
    JPEG_BASELINE,
    InstanceSource,
    identifier,
)
from isocenter.fetcher import dataset, fetch
from isocenter.fetcher.errors import (
    IncompleteError,
    NothingUsableError,
    UsageError,
)

RGB = np.random.default_rng(7).integers(0, 256, (33, 47, 3), dtype=np.uint8)


def arrays(directory, manifest):
    return [
        np.load(directory / array.path)
        for entry in manifest.image_sets
        for array in entry.arrays
    ]


def test_a_ct_series_becomes_one_volume(lab):
    slices = [lab.make_slice(i) for i in range(5)]
    content = lab.put([slices[i] for i in (3, 0, 4, 1, 2)])

    manifest = lab.fetch(lab.ask(content))

    (entry,) = manifest.image_sets
    (array,) = entry.arrays
    wanted = np.stack([s.frames[0] for s in slices])
    values = np.load(lab.directory / array.path)
    assert values.dtype == np.int16
    assert np.array_equal(values, wanted)
    assert array.path == f"{content.image_set_id}/001-001.npy"
    assert (array.shape, array.dtype, array.axes) == ((5, 40, 32), "int16", "zyx")
    assert array.spacing == pytest.approx((2.5, 0.5, 0.75))
    assert array.origin == pytest.approx((-10.5, -20, 100))
    assert array.direction == pytest.approx((1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert array.uniform
    assert (array.rescale_slope, array.rescale_intercept) == (1.0, -1024.0)
    assert array.photometric_interpretation == "MONOCHROME2"
    assert [f.frame_number for f in array.frames] == [1] * 5
    assert all(f.verified for f in array.frames)
    assert entry.modality == "CT"
    assert entry.version_id == "1"
    assert not manifest.omissions
    stored = (lab.directory / MANIFEST_NAME).read_bytes()
    assert parse_dataset(stored, source="x") == manifest
    assert b"DOE" not in stored
    assert b"P-1" not in stored


@pytest.mark.parametrize(
    ("frame", "syntax"),
    [
        (np.arange(64, dtype=np.uint8).reshape(8, 8), EXPLICIT_LITTLE_ENDIAN),
        (np.arange(1024, dtype=np.int16).reshape(32, 32) - 99, JPEG_2000),
        (RGB, JPEG_2000),
        (RGB, EXPLICIT_LITTLE_ENDIAN),
        (np.arange(96 * 96, dtype=np.uint16).reshape(96, 96), "1.2.840.10008.1.2.4.90"),
    ],
)
def test_retained_and_transcoded_frames_are_verified(lab, frame, syntax):
    content = lab.put([InstanceSource([frame], syntax=syntax)])
    manifest = lab.fetch(lab.ask(content))
    (values,) = arrays(lab.directory, manifest)
    assert values.dtype == frame.dtype
    assert np.array_equal(values[0], frame)


@pytest.mark.parametrize("syntax", [HTJ2K_LOSSLESS_RPCL, HTJ2K])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8])
def test_htj2k(lab, syntax, dtype):
    pytest.importorskip("imagecodecs", reason="the only HTJ2K encoder for Python")
    rng = np.random.default_rng(1)
    info = np.iinfo(dtype)
    frame = rng.integers(info.min, info.max, (100, 80), dtype=dtype)
    unknown = syntax == HTJ2K_LOSSLESS_RPCL
    content = lab.put(
        [InstanceSource([frame], syntax=syntax, stored_syntax_known=not unknown)]
    )
    manifest = lab.fetch(lab.ask(content))
    (values,) = arrays(lab.directory, manifest)
    assert np.array_equal(values[0], frame)


def test_jpeg_baseline_is_verified_over_its_stored_bytes(
    put, ask, healthimaging, settings, tmp_path
):
    frame = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    content = put([InstanceSource([frame], syntax=JPEG_BASELINE)])
    manifest = fetch(ask(content), tmp_path, settings=settings, source=healthimaging)
    (values,) = arrays(tmp_path, manifest)
    assert np.abs(values[0].astype(int) - frame).max() < 8


def test_slices_that_differ_in_rescale_have_it_applied(lab):
    slopes = ("2", "0.5")
    slices = [
        lab.make_slice(i, dicom={"RescaleSlope": s}) for i, s in enumerate(slopes)
    ]
    manifest = lab.fetch(lab.ask(lab.put(slices)))
    (array,) = manifest.image_sets[0].arrays
    assert (array.dtype, array.rescale_slope, array.rescale_intercept) == (
        "float32",
        1,
        0,
    )
    (values,) = arrays(lab.directory, manifest)
    for got, source, slope in zip(values, slices, (2, 0.5), strict=True):
        assert np.allclose(got, source.frames[0] * slope - 1024)


def test_a_frame_without_checksum_is_marked(lab):
    content = lab.put([lab.make_slice(0)])
    (series,) = content.metadata["Study"]["Series"].values()
    (instance,) = series["Instances"].values()
    del instance["ImageFrames"][0]["PixelDataChecksumFromBaseToFullResolution"]
    manifest = lab.fetch(lab.ask(content))
    (frame,) = manifest.image_sets[0].arrays[0].frames
    assert not frame.verified
    assert frame.crc32 > 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda h, c: h.remove(c.image_set_id), OmissionReason.IMAGE_SET_NOT_FOUND),
        (lambda h, c: h.deny(c.image_set_id), OmissionReason.ACCESS_DENIED),
        (lambda h, c: h.delete(c.image_set_id), OmissionReason.IMAGE_SET_NOT_ACTIVE),
        (
            lambda h, c: h.lock(c.image_set_id, times=99),
            OmissionReason.IMAGE_SET_NOT_ACTIVE,
        ),
        (
            lambda h, c: h.throttle(c.image_set_id, times=99),
            OmissionReason.FETCH_FAILED,
        ),
        (
            lambda h, c: h.corrupt(next(iter(c.frames)), times=99),
            OmissionReason.CHECKSUM_MISMATCH,
        ),
        (lambda h, c: h.deny(next(iter(c.frames))), OmissionReason.ACCESS_DENIED),
        (lambda h, c: c.metadata.pop("Patient"), OmissionReason.METADATA_MALFORMED),
    ],
)
def test_what_is_missing_fails_unless_it_is_allowed(lab, fault, reason, no_pause):
    good = lab.put([lab.make_slice(0)], name="good")
    syntax = EXPLICIT_LITTLE_ENDIAN
    bad = lab.put([lab.make_slice(1, syntax=syntax)], name="bad")
    fault(lab.healthimaging, bad)
    request = lab.ask(good, bad)

    with pytest.raises(IncompleteError, match=reason.value) as failure:
        lab.fetch(request)
    assert [o.reason for o in failure.value.omissions] == [reason]
    assert failure.value.omissions[0].image_set_id == bad.image_set_id
    assert not (lab.directory / MANIFEST_NAME).exists()

    manifest = lab.fetch(request, allow_omissions=True)
    assert [e.image_set_id for e in manifest.image_sets] == [good.image_set_id]
    assert [o.reason for o in manifest.omissions] == [reason]
    assert not (lab.directory / bad.image_set_id / "001-001.npy").exists()


def test_nothing_usable(ask, healthimaging, settings, tmp_path):
    with pytest.raises(NothingUsableError, match="ImageSetNotFound"):
        fetch(
            ask(identifier("none")),
            tmp_path,
            settings=settings,
            source=healthimaging,
            allow_omissions=True,
        )


def test_a_report_beside_images_is_no_failure(lab):
    report = InstanceSource(dicom={"Modality": "SR"}, series=2)
    manifest = fetch(
        lab.ask(lab.put([lab.make_slice(0), report])),
        lab.directory,
        settings=lab.settings,
        source=lab.healthimaging,
    )
    assert [o.reason for o in manifest.omissions] == [OmissionReason.NO_FRAMES]
    assert len(manifest.image_sets[0].arrays) == 1


def test_an_array_is_closed_up_where_a_frame_is_missing(lab, no_pause):
    slices = [lab.make_slice(i) for i in range(4)]
    content = lab.put(slices)
    lab.healthimaging.corrupt(list(content.frames)[1], times=99)
    manifest = lab.fetch(lab.ask(content), allow_omissions=True)
    (array,) = manifest.image_sets[0].arrays
    (values,) = arrays(lab.directory, manifest)
    assert np.array_equal(values, np.stack([slices[i].frames[0] for i in (0, 2, 3)]))
    assert array.shape == (3, 40, 32)
    assert not array.uniform
    assert manifest.omissions[0].frame_number == 1
    assert sorted(p.name for p in (lab.directory / content.image_set_id).iterdir()) == [
        "001-001.npy"
    ]


def test_faults_that_pass_leave_no_trace(lab, no_pause):
    content = lab.put([lab.make_slice(i) for i in range(3)])
    first, second, _ = content.frames
    lab.healthimaging.corrupt(first, times=1)
    lab.healthimaging.throttle(second, times=2)
    lab.healthimaging.throttle(content.image_set_id, times=1)
    manifest = lab.fetch(lab.ask(content))
    assert not manifest.omissions
    assert len(manifest.image_sets[0].arrays[0].frames) == 3


def test_a_locked_image_set_is_waited_for(lab, no_pause):
    content = lab.put([lab.make_slice(0)])
    lab.healthimaging.lock(content.image_set_id, times=2)
    waiting = lab.settings.model_copy(update={"lock_wait_seconds": 60.0})
    manifest = fetch(
        lab.ask(content), lab.directory, settings=waiting, source=lab.healthimaging
    )
    assert not manifest.omissions
    assert lab.healthimaging.calls["image_set"] == 3


def test_the_version_asked_for_is_the_one_used(lab):
    lab.put([lab.make_slice(0)], version_id="1")
    content = lab.put([lab.make_slice(0), lab.make_slice(1)], version_id="2")
    pinned = fetch(
        lab.ask(content, version_id="1"),
        lab.directory / "pinned",
        settings=lab.settings,
        source=lab.healthimaging,
    )
    latest = fetch(
        lab.ask(content),
        lab.directory / "latest",
        settings=lab.settings,
        source=lab.healthimaging,
    )
    assert pinned.image_sets[0].version_id == "1"
    assert pinned.image_sets[0].arrays[0].shape[0] == 1
    assert latest.image_sets[0].version_id == "2"
    assert latest.image_sets[0].arrays[0].shape[0] == 2


def test_a_complete_dataset_is_not_fetched_again(lab):
    request = lab.ask(lab.put([lab.make_slice(0)]))
    first = lab.fetch(request)
    before = dict(lab.healthimaging.calls)
    again = lab.fetch(request)
    assert again == first
    assert dict(lab.healthimaging.calls) == before


def test_another_request_does_not_mix_with_a_dataset(lab):
    one, other = (
        lab.put([lab.make_slice(0)], name="1"),
        lab.put([lab.make_slice(0)], name="2"),
    )
    lab.fetch(lab.ask(one))
    with pytest.raises(UsageError, match="another request"):
        lab.fetch(lab.ask(other))
    assert not (lab.directory / other.image_set_id).exists()


def test_a_damaged_dataset_is_named(lab):
    request = lab.ask(lab.put([lab.make_slice(0)]))
    manifest = lab.fetch(request)
    path = lab.directory / manifest.image_sets[0].arrays[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UsageError, match=r"001-001\.npy is not what"):
        lab.fetch(request)


def test_killed_between_the_arrays_and_the_manifest(lab, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    one, two = (lab.put([lab.make_slice(i)], name=str(i)) for i in range(2))
    monkeypatch.setattr(dataset, "write_durably", kill)
    with pytest.raises(Killed):
        lab.fetch(lab.ask(one, two))
    monkeypatch.undo()
    assert (lab.directory / two.image_set_id / "001-001.npy").exists()
    # What is no leaving of a fetch stays.
    (lab.directory / "notes.txt").write_text("mine")
    foreign = lab.directory / one.image_set_id / "mine.txt"
    foreign.write_text("mine")
    (lab.directory / one.image_set_id / "002-001.npy.part").write_bytes(b"half")

    lab.fetch(lab.ask(one))

    assert not (lab.directory / two.image_set_id).exists()
    assert sorted(p.name for p in (lab.directory / one.image_set_id).iterdir()) == [
        "001-001.npy",
        "mine.txt",
    ]
    assert (lab.directory / "notes.txt").exists()


def test_one_fetch_at_a_time_in_a_directory(lab):
    request = lab.ask(lab.put([lab.make_slice(0)]))
    handle = os.open(lab.directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another process"):
            lab.fetch(request)
    finally:
        os.close(handle)


def test_one_image_set_in_two_versions_is_refused(
    healthimaging, settings, tmp_path, datastore
):
    one = identifier("one")
    request = RunRequest(
        datastore_id=datastore,
        image_sets=(ImageSetRef(id=one, version_id="1"), ImageSetRef(id=one)),
    )
    with pytest.raises(UsageError, match="two versions"):
        fetch(request, tmp_path, settings=settings, source=healthimaging)


def test_the_same_data_give_the_same_dataset(lab):
    request = lab.ask(*(lab.put([lab.make_slice(i)], name=str(i)) for i in range(4)))
    one, other = (
        fetch(
            request,
            lab.directory / name,
            settings=lab.settings,
            source=lab.healthimaging,
        )
        for name in "ab"
    )
    assert one == other
    assert json.loads(one.to_json())["digest"] == dataset.digest_of(
        array for entry in other.image_sets for array in entry.arrays
    )


def test_a_full_disk_ends_the_fetch(lab, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        fetch(
            lab.ask(lab.put([lab.make_slice(0)])),
            lab.directory,
            settings=lab.settings,
            source=lab.healthimaging,
        )
    assert not (lab.directory / MANIFEST_NAME).exists()
