"""Frames as HealthImaging stores them, and a source that sends them piece by piece."""

import asyncio
from dataclasses import dataclass, field

import imagecodecs
import numpy as np
import pytest
from imagecodecs import HTJ2K
from prometheus_client import CollectorRegistry

from isocenter.core.errors import IsocenterError
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.store import Frames
from isocenter.tlm_proxy.metrics import Metrics


def picture(shape=(180, 220), dtype=np.uint16):
    rng = np.random.default_rng(3)
    y, x = np.mgrid[: shape[0], : shape[1]]
    noise = rng.integers(0, 50, shape[:2])
    image = (x * 7 + y * 11 + noise) % 60_000
    if len(shape) == 3:
        image = np.stack([image] * shape[2], -1) % 251
    return image.astype(dtype)


@pytest.fixture(scope="session")
def image():
    return picture()


@pytest.fixture(scope="session")
def encode():
    """A codestream of a picture; cached, for encoding takes a while."""
    done = {}

    def encode(
        *,
        tlm=True,
        resolutions=4,
        shape=(180, 220),
        dtype=np.uint16,
        parts=HTJ2K.TILEPART.RESOLUTIONS,
        tile=None,
    ):
        key = (tlm, resolutions, shape, dtype, parts, tile)
        if key not in done:
            done[key] = imagecodecs.htj2k_encode(
                picture(shape, dtype),
                resolutions=resolutions,
                reversible=True,
                tlm=tlm,
                tilepart=parts,
                tile=tile,
            )
        return done[key]

    return encode


@pytest.fixture(scope="session")
def htj2k(encode):
    """A frame as HealthImaging stores it: TLM, one tile-part a resolution."""
    return encode()


@dataclass
class Script:
    """How one frame is sent."""

    body: bytes = b""
    media_type: str = "image/jphc"
    step: int = 1000
    announced: bool = True
    size: int | None = None
    # What holds back the piece that has this offset.
    gates: dict[int, asyncio.Event] = field(default_factory=dict)
    opening: asyncio.Event | None = None
    refusals: list[Exception] = field(default_factory=list)
    break_at: int | None = None
    sent: int = 0
    closed: int = 0


class Arriving:
    def __init__(self, script):
        self.script = script
        self.media_type = script.media_type
        self.size = len(script.body) if script.announced else None
        if script.size is not None:
            self.size = script.size

    async def pieces(self):
        script = self.script
        for at in range(0, len(script.body), script.step):
            for start, gate in script.gates.items():
                if at <= start < at + script.step:
                    await gate.wait()
            if script.break_at is not None and at >= script.break_at:
                raise script.refusals.pop()
            piece = script.body[at : at + script.step]
            script.sent = at + len(piece)
            yield piece
            await asyncio.sleep(0)

    def close(self):
        self.script.closed += 1


class FakeSource:
    """Sends what it was told; remembers who asked for what."""

    def __init__(self):
        self.scripts = {}
        self.calls = []

    def add(self, key, body=b"", **values):
        self.scripts[key] = Script(body, **values)
        return self.scripts[key]

    async def frame(self, key, client):
        self.calls.append((key, client))
        script = self.scripts[key]
        if script.opening is not None:
            await script.opening.wait()
        if script.refusals and script.break_at is None:
            raise script.refusals.pop()
        await asyncio.sleep(0)
        return Arriving(script)


class Stage:
    """Frames over a fake source."""

    def __init__(self, max_bytes):
        self.registry = CollectorRegistry()
        self.source = FakeSource()
        self.frames = Frames(self.source, max_bytes, Metrics(self.registry))

    def metric(self, name, **labels):
        value = self.registry.get_sample_value(f"isocenter_tlm_proxy_{name}", labels)
        return value or 0

    @property
    def used(self):
        return self.metric("cache_bytes")

    async def read(self, key, asked=None, client="c", slow=None):
        """All that is asked for, as one client reads it."""
        reader = await self.frames.open(key, client)
        try:
            found = await reader.locate(asked)
            pieces = []
            async for piece in reader.pieces(found):
                pieces.append(bytes(piece))
                if slow is not None:
                    await slow()
            return b"".join(pieces)
        finally:
            reader.close()

    async def taken(self, reader, found):
        """What a reader gives of a cut, and the failure that ends it."""
        pieces = []
        try:
            async for piece in reader.pieces(found):
                pieces.append(bytes(piece))  # noqa: PERF401 - kept if it fails midway
        except IsocenterError as error:
            return b"".join(pieces), error
        return b"".join(pieces), None

    async def until(self, holds):
        async with asyncio.timeout(3):
            while not holds():  # noqa: ASYNC110 - a metric has no event
                await asyncio.sleep(0.001)


@pytest.fixture
def play():
    """Run ``function(stage)`` in a fresh loop, bounded."""

    def play(function, max_bytes=8 << 20, limit=10):
        async def bounded():
            stage = Stage(max_bytes)
            async with asyncio.timeout(limit):
                result = await function(stage)
                await stage.frames.aclose()
            await asyncio.sleep(0)
            assert not stage.frames._flights
            return result

        return asyncio.run(bounded())

    return play


def key_of(name):
    return FrameKey("eu-west-1", "d" * 32, "5" * 32, str(name))


@pytest.fixture(name="key_of")
def key_of_fixture():
    return key_of
