"""Two workers in one process: frames go from the owner to the other."""

import asyncio
import os
from contextlib import asynccontextmanager, closing

import pytest
from prometheus_client import CollectorRegistry

from isocenter.core.errors import NotFoundError, UnavailableError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.store import Frames
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.workers.exposition import exposition, readiness
from isocenter.tlm_proxy.workers.owner_server import OwnerServer
from isocenter.tlm_proxy.workers.owner_source import OwnerSource
from isocenter.tlm_proxy.workers.place import Place, Workers

BODY = bytes(range(256)) * 2000


class Arriving:
    media_type = "image/jpeg"

    def __init__(self, source):
        self.source = source
        self.size = None if source.chunked else len(BODY)

    async def pieces(self):
        for start in range(0, len(BODY), 100_000):
            if start and self.source.breaks:
                raise UnavailableError("broke off")
            yield BODY[start : start + 100_000]

    def close(self):
        self.source.closed += 1


class Source:
    """HealthImaging."""

    def __init__(self):
        self.asked = []
        self.closed = 0
        self.chunked = self.breaks = False
        self.error = None

    async def frame(self, key, client):
        self.asked.append((key, client))
        if self.error is not None:
            raise self.error
        await asyncio.sleep(0)
        return Arriving(self)


class Worker:
    def __init__(self, workers, upstream):
        self.place = Place.take(workers)
        self.registry = CollectorRegistry()
        metrics = Metrics(self.registry)
        self.upstream = upstream
        self.source = OwnerSource(self.place, upstream, metrics, 2.0)
        self.frames = Frames(self.source, 64 << 20, metrics)
        self.problem = None
        self.server = OwnerServer(
            self.place, self.frames, metrics, lambda: self.problem
        )

    def calls(self, outcome):
        return self.registry.get_sample_value(
            "isocenter_tlm_proxy_worker_calls_total", {"outcome": outcome}
        )


@asynccontextmanager
async def two(folder):
    """A worker, the other one, HealthImaging, and a frame that the other owns."""
    workers, upstream = Workers(folder, 2), Source()
    pair = [Worker(workers, upstream) for _ in range(2)]
    for worker in pair:
        await worker.server.open()
    keys = (FrameKey("eu-west-1", "d" * 32, "5" * 32, f"{n:032x}") for n in range(99))
    key = next(key for key in keys if workers.owner(key) == 1)
    try:
        yield pair[0], pair[1], upstream, key
    finally:
        for worker in pair:
            await worker.frames.aclose()
            await worker.server.aclose()
            await worker.source.aclose()
            os.close(worker.place.lock)


async def whole(worker, key, client):
    """All of a frame, by one worker."""
    with closing(await worker.frames.open(key, client)) as reader:
        found = await reader.locate(None)
        return b"".join([bytes(piece) async for piece in reader.pieces(found)])


@pytest.mark.parametrize("chunked", [True, False])
def test_the_owner_alone_asks(run, tmp_path, chunked):
    async def play():
        async with two(tmp_path) as (asking, owner, upstream, key):
            upstream.chunked = chunked
            bodies = await asyncio.gather(
                *(whole(asking, key, "alice") for _ in range(5)),
                *(whole(owner, key, "bob") for _ in range(5)),
            )
            assert set(bodies) == {BODY}
            assert asking.frames.stored(key).media_type == "image/jpeg"
            assert len(upstream.asked) == 1
            assert asking.calls("frame") == 1
            # From the owner's cache, too.
            again = Worker.__new__(Worker)
            again.frames = Frames(asking.source, 0, Metrics(CollectorRegistry()))
            assert await whole(again, key, "carol") == BODY
            assert len(upstream.asked) == 1

    run(play)


def test_whose_call_it_is_is_told(run, tmp_path):
    async def play():
        async with two(tmp_path) as (asking, _, upstream, key):
            await whole(asking, key, "alice")
            assert upstream.asked == [(key, "alice")]

    run(play)


def test_a_failure_is_the_owners(run, tmp_path):
    async def play():
        async with two(tmp_path) as (asking, _, upstream, key):
            upstream.error = NotFoundError("no such frame")
            with pytest.raises(NotFoundError, match="no such frame"):
                await whole(asking, key, "alice")
            assert len(upstream.asked) == 1
            assert asking.calls("failure") == 1

    run(play)


def test_a_frame_that_breaks_off_does_so_for_all(run, tmp_path):
    async def play():
        async with two(tmp_path) as (asking, _, upstream, key):
            upstream.breaks = True
            with pytest.raises(UnavailableError):
                await whole(asking, key, "alice")

    run(play)


def test_a_dead_owner_is_done_without(run, tmp_path):
    async def play():
        async with two(tmp_path) as (asking, owner, upstream, key):
            await owner.server.aclose()
            assert await whole(asking, key, "alice") == BODY
            assert len(upstream.asked) == 1
            assert asking.calls("no answer") == 1

    run(play)


def test_metrics_and_readiness_of_all(run, tmp_path):
    async def play():
        async with two(tmp_path) as (asking, owner, _, key):
            await whole(asking, key, "alice")
            workers = asking.place.workers
            text = (await asyncio.to_thread(exposition, workers)).decode()
            name = "isocenter_tlm_proxy_worker_calls_total"
            assert f'{name}{{outcome="frame",worker="0"}} 1.0' in text
            assert text.count("# TYPE isocenter_tlm_proxy_cache_bytes gauge") == 1
            for number in "01":
                assert f'cache_bytes{{worker="{number}"}}' in text
            asking.problem = "no AWS credentials"
            assert await asyncio.to_thread(readiness, workers) is None
            owner.problem = "no AWS credentials"
            found = await asyncio.to_thread(readiness, workers)
            assert found == "no AWS credentials"
            await asking.server.aclose()
            await owner.server.aclose()
            assert await asyncio.to_thread(readiness, workers) == "starting"
            assert await asyncio.to_thread(exposition, workers) == b""

    run(play)
