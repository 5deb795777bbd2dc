import threading
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from isocenter.core.dataset import OmissionReason
from isocenter.core.errors import (
    BusyError,
    DeniedError,
    IntegrityError,
    MalformedError,
    NotFoundError,
    UnavailableError,
)
from isocenter.core.testing.image_sets import EXPLICIT_LITTLE_ENDIAN
from isocenter.fetcher.array_file import ArrayFileWriter
from isocenter.fetcher.byte_budget import ByteBudget
from isocenter.fetcher.decoders import Decoders
from isocenter.fetcher.download import FrameDownloader, reason_of
from isocenter.fetcher.errors import DecoderLostError, InterruptedFetchError
from isocenter.fetcher.frame_work import FrameWork
from isocenter.fetcher.pixels import PixelFormat
from isocenter.fetcher.retry import retrying
from isocenter.fetcher.verify import checksum

PIXELS = PixelFormat(40, 50, 1, 16, 16, signed=True, photometric="MONOCHROME2")
FRAMES = 12
WEIGHT = 2 * 4000 + 4 * 2000


class Source:
    """Frames by number; counts what is held between the read and the next one."""

    def __init__(self, delay=0.0):
        self.delay = delay
        self.lock = threading.Lock()
        self.now = self.most = self.reads = 0

    def frame_bytes(self, datastore_id, image_set_id, frame_id):
        with self.lock:
            self.now += 1
            self.reads += 1
            self.most = max(self.most, self.now)
        time.sleep(self.delay)
        with self.lock:
            self.now -= 1
        return pixels(int(frame_id)).tobytes()


def pixels(number):
    return np.full((40, 50), number, np.int16)


def work_for(path, crc32=None):
    writer = ArrayFileWriter.create(path, (FRAMES, 40, 50), "int16")
    return writer, [
        (
            str(i),
            FrameWork(
                syntax=EXPLICIT_LITTLE_ENDIAN,
                pixels=PIXELS,
                crc32=checksum(pixels(i).tobytes()) if crc32 is None else crc32,
                apply=None,
                slot=writer.slot(i),
            ),
        )
        for i in range(FRAMES)
    ]


def downloader(source, **changes):
    options = {
        "workers": 4,
        "decoders": Decoders(1),
        "memory_bytes": 1 << 30,
        "attempts": 2,
        "pause": 0.001,
    }
    return FrameDownloader(source, **options | changes)


def run(
    source, path, *, crc32=None, after=lambda _: None, before=lambda: None, **options
):
    writer, works = work_for(path, crc32)
    with downloader(source, **options) as frames:
        return writer, frames.fetch("d", "i", works, before=before, after=after)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"workers": 4}, 4),
        ({"workers": 2}, 2),
        ({"workers": 8, "memory_bytes": 3 * WEIGHT}, 3),
        # A frame larger than the bound is taken alone.
        ({"workers": 8, "memory_bytes": 1}, 1),
    ],
)
def test_frames_in_flight_are_bounded(tmp_path, options, most):
    source = Source(delay=0.01)
    writer, outcomes = run(source, tmp_path / "a.npy", **options)
    assert source.most <= most
    assert (source.most > 1) == (most > 1)
    writer.finish()
    assert np.array_equal(np.load(tmp_path / "a.npy")[:, 0, 0], np.arange(FRAMES))
    assert [o.stored_bytes for o in outcomes] == [4000] * FRAMES


def test_decoding_processes(tmp_path):
    """In one test, as processes take seconds to start."""
    writer, works = work_for(tmp_path / "a.npy")
    _, wrong = work_for(tmp_path / "b.npy", crc32=1)
    quiet = {"before": lambda: None, "after": lambda _: None}
    with downloader(Source(), decoders=Decoders(2, start_after=0)) as frames:
        # The first frames are decoded here, until the processes are ready.
        outcomes = frames.fetch("d", "i", works, **quiet)
        frames._decoders._ready.result()
        outcomes = frames.fetch("d", "i", works, **quiet)
        assert frames._decoders._processes() is not None
        assert [o.crc32 for o in outcomes] == [
            checksum(pixels(i).tobytes()) for i in range(FRAMES)
        ]
        writer.finish()
        values = np.load(tmp_path / "a.npy")
        assert np.array_equal(values[:, 0, 0], np.arange(FRAMES))

        # Errors come back as what they are.
        outcomes = frames.fetch("d", "i", wrong, **quiet)
        assert {o.failure[0] for o in outcomes} == {OmissionReason.CHECKSUM_MISMATCH}
        assert not frames.lost

        # A killed process, out of memory for example, ends the fetch.
        for process in frames._decoders._pool._processes.values():
            process.kill()
        with pytest.raises(DecoderLostError, match="FETCHER_MEMORY_MIB"):
            frames.fetch("d", "i", wrong, **quiet)
        assert frames.lost


def test_without_processes_threads_decode(tmp_path, caplog):
    class NeverReady(Decoders):
        def _processes(self):
            self._ready = Future()
            self._ready.set_exception(BrokenProcessPool("no memory"))
            return super()._processes()

    writer, works = work_for(tmp_path / "a.npy")
    with downloader(Source(), decoders=NeverReady(2)) as frames:
        outcomes = frames.fetch(
            "d", "i", works, before=lambda: None, after=lambda _: None
        )
        assert not frames.lost
    assert not any(o.failure for o in outcomes)
    assert "threads decode" in caplog.text
    writer.discard()


def test_a_stopped_downloader_takes_no_frame(tmp_path):
    _, works = work_for(tmp_path / "a.npy")
    source = Source()
    with downloader(source) as frames:
        frames.stop()
        with pytest.raises(InterruptedFetchError):
            frames.fetch("d", "i", works, before=lambda: None, after=lambda _: None)
    assert source.reads == 0


def test_a_fetch_can_be_ended_from_outside(tmp_path):
    def before():
        raise InterruptedFetchError("enough")

    source = Source()
    with pytest.raises(InterruptedFetchError, match="enough"):
        run(source, tmp_path / "a.npy", before=before)
    assert source.reads == 0


def test_a_write_that_fails_ends_the_fetch(tmp_path):
    writer, works = work_for(tmp_path / "a.npy")
    writer.part.unlink()
    with downloader(Source()) as frames, pytest.raises(FileNotFoundError):
        frames.fetch("d", "i", works, before=lambda: None, after=lambda _: None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (IntegrityError("x"), OmissionReason.CHECKSUM_MISMATCH),
        (MalformedError("x"), OmissionReason.DECODE_FAILED),
        (DeniedError("x"), OmissionReason.ACCESS_DENIED),
        (NotFoundError("x"), OmissionReason.FETCH_FAILED),
        (UnavailableError("x"), OmissionReason.FETCH_FAILED),
        (BusyError("x"), OmissionReason.FETCH_FAILED),
    ],
)
def test_reasons(error, reason):
    assert reason_of(error) == reason


@pytest.mark.parametrize(
    ("failures", "attempts", "calls", "ends"),
    [
        ([], 3, 1, None),
        ([BusyError("x"), UnavailableError("x")], 3, 3, None),
        ([BusyError("x")] * 3, 3, 3, BusyError),
        ([DeniedError("x")], 3, 1, DeniedError),
        ([BusyError("x")], 1, 1, BusyError),
    ],
)
def test_retrying(failures, attempts, calls, ends):
    left, made, rests, told = list(failures), [], [], []

    def call():
        made.append(1)
        if left:
            raise left.pop(0)
        return "done"

    def attempt():
        return retrying(
            call,
            attempts=attempts,
            pause=1.0,
            rest=rests.append,
            on_retry=lambda number, _: told.append(number),
        )

    if ends is None:
        assert attempt() == "done"
    else:
        with pytest.raises(ends):
            attempt()
    assert len(made) == calls
    assert told == list(range(1, len(rests) + 1))
    assert all(0.5 * 2**i <= rest <= 1.5 * 2**i for i, rest in enumerate(rests))


def test_the_budget_gives_back_what_it_gave():
    budget = ByteBudget(10)
    with budget.take(4), budget.take(6):
        assert budget.taken == 10
        third = budget.take(1)
        waiting = threading.Thread(target=third.__enter__)
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
    waiting.join(2)
    assert budget.taken == 1
