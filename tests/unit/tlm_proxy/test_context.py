"""The process's parts together: two workers of which one stops."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from isocenter.tlm_proxy.access.tokens import build_access
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.frames.selection import Cut
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.upstream.healthimaging import Upstream
from isocenter.tlm_proxy.workers.place import Place, Workers

BODY = bytes(range(256)) * 1000
AT = 100_000


@asynccontextmanager
async def two(s, folder):
    """Two workers before the stage's HealthImaging, as two processes have them."""
    workers = Workers(folder, 2)
    regions = s.context.upstream._signers
    pair = []
    for _ in range(2):
        metrics = Metrics(CollectorRegistry())
        upstream = Upstream(s.settings, metrics, s.context.region, regions)
        access = build_access(s.settings, metrics)
        place = Place.take(workers)
        context = ProcessContext(s.settings, metrics, upstream, access, place)
        await context.open()
        pair.append(context)
    try:
        yield pair
    finally:
        for context in pair:
            await context.aclose()
            os.close(context._place.lock)


def owned_by(number, workers, key_of):
    return next(a for a in "abcdef" if workers.owner(key_of(a)) == number)


@pytest.mark.parametrize("read", [True, False])
def test_workers_drain_together(stage, run, tmp_path, key_of, read):
    """One without clients doesn't cut what the other's read, nor wait for a cache."""

    async def play():
        async with stage(drain_s=60) as s, two(s, tmp_path) as (asking, owner):
            letter = owned_by(1, owner._place.workers, key_of)
            gate = asyncio.Event()
            s.add(letter, BODY, pieces=[AT], gates={1: gate}, media_type="image/jpeg")
            reader = await asking.frames.open(key_of(letter), "alice")
            if read:
                stopping = asyncio.create_task(owner.aclose())
                await asyncio.sleep(0.05)
                gate.set()
                found = await reader.locate(None)
                got = [bytes(piece) async for piece in reader.pieces(found)]
                assert b"".join(got) == BODY
                reader.close()
                await stopping
                assert len(s.upstream.requests) == 1
            else:
                # It got what it wanted; the rest arrives for the caches alone.
                async for _ in reader.pieces(Cut(0, AT)):
                    pass
                reader.close()
                await asyncio.gather(asking.aclose(), owner.aclose())

    run(play, limit=5)


def test_an_owner_has_all_the_time_that_it_may_itself_wait(stage, run, tmp_path):
    """Or HealthImaging would be asked twice, just when it is slow."""

    async def play():
        async with stage() as s, two(s, tmp_path) as (asking, _):
            longest = s.settings.upstream_deadline_s + s.settings.upstream_idle_s
            assert asking._owners._timeout.sock_read > longest

    run(play)


def test_getting_ready_goes_on_whatever_happens(stage, run, monkeypatch, caplog):
    monkeypatch.setattr("isocenter.tlm_proxy.context._UNREADY_PAUSE_S", 0.01)
    monkeypatch.setattr("isocenter.tlm_proxy.context._READY_PAUSE_S", 0.01)

    async def play():
        async with stage() as s:
            tried = []

            async def prepare():
                tried.append(1)
                raise AttributeError

            s.context.upstream.prepare = prepare
            await s.until(lambda: len(tried) > 2)
        assert "getting ready failed" in caplog.text

    run(play)
