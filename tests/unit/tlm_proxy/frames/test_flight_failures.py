"""What readers of an arriving frame are told when it fails or is not a codestream."""

import asyncio

import pytest

from isocenter.core.codestream import CodestreamError, scan_levels
from isocenter.core.errors import BusyError, UnavailableError
from isocenter.tlm_proxy.errors import LevelOutOfRangeError, LevelsUnavailableError
from isocenter.tlm_proxy.frames.selection import LevelRange, Reduce

MODES = [8 << 20, 0]
"""Budgets: the frame is kept; nothing is kept."""


def broken_ones(htj2k):
    ends = scan_levels(htj2k).ends
    return {
        "main header": htj2k[:60] + b"\x12\x34" + htj2k[62:],
        "cut short": htj2k[:-500],
        "TLM and SOT": htj2k[: ends[1] + 6] + b"\0\0\1\0" + htj2k[ends[1] + 10 :],
    }


@pytest.mark.parametrize("max_bytes", MODES)
@pytest.mark.parametrize("where", ["opening", "first byte"])
def test_a_failure_before_the_first_byte_reaches_all(
    play, htj2k, key_of, where, max_bytes
):
    async def scene(stage):
        error = BusyError("throttled", code="ThrottlingException")
        script = stage.source.add(key_of(1), htj2k, refusals=[error])
        if where == "first byte":
            script.break_at = 0
        told = await asyncio.gather(
            *(stage.read(key_of(1)) for _ in range(100)), return_exceptions=True
        )
        assert all(failure is error for failure in told)
        assert len(stage.source.calls) == 1
        assert not stage.frames._flights
        assert stage.used == 0
        script.break_at = None
        assert await stage.read(key_of(1)) == htj2k
        assert len(stage.source.calls) == 2

    play(scene, max_bytes)


def test_an_unexpected_failure_reaches_all_as_well(play, key_of):
    async def scene(stage):
        told = await asyncio.gather(
            *(stage.read(key_of("unknown")) for _ in range(3)), return_exceptions=True
        )
        assert [type(failure) for failure in told] == [KeyError] * 3
        stage.source.add(key_of("unknown"), b"now")
        assert await stage.read(key_of("unknown")) == b"now"

    play(scene)


@pytest.mark.parametrize("max_bytes", MODES)
def test_a_failure_midway_reaches_who_needs_more(play, htj2k, key_of, max_bytes):
    ends = scan_levels(htj2k).ends

    async def scene(stage):
        error = UnavailableError("connection lost")
        script = stage.source.add(
            key_of(1), htj2k, refusals=[error], break_at=20_000, step=500
        )
        whole, level = await asyncio.gather(
            stage.read(key_of(1)),
            stage.read(key_of(1), LevelRange(0, 1)),
            return_exceptions=True,
        )
        assert whole is error
        assert level == htj2k[: ends[1]]
        assert stage.used == 0
        script.break_at = None
        assert await stage.read(key_of(1)) == htj2k

    play(scene, max_bytes)


def test_what_arrived_before_a_failure_is_given_first(play, htj2k, key_of):
    async def scene(stage):
        error = UnavailableError("connection lost")
        stage.source.add(key_of(1), htj2k, refusals=[error], break_at=20_000)
        reader = await stage.frames.open(key_of(1), "c")
        found = await reader.locate(None)
        await asyncio.sleep(0.02)
        assert await stage.taken(reader, found) == (htj2k[:20_000], error)
        assert stage.used == len(htj2k)
        reader.close()
        assert stage.used == 0

    play(scene)


@pytest.mark.parametrize(("change", "text"), [(-100, "ended after"), (100, "longer")])
def test_a_frame_that_is_not_as_long_as_announced_is_a_failure(
    play, htj2k, key_of, change, text
):
    async def scene(stage):
        size = len(htj2k)
        stage.source.add(key_of(1), htj2k[: size + min(change, 0)], size=size)
        if change > 0:
            stage.source.add(key_of(1), htj2k, size=size - change)
        with pytest.raises(UnavailableError, match=text):
            await stage.read(key_of(1))
        assert stage.metric("cache_frames") == 0

    play(scene)


def test_a_failure_while_reading_on_is_counted(play, htj2k, key_of):
    async def scene(stage):
        gate = asyncio.Event()
        script = stage.source.add(
            key_of(1),
            htj2k,
            gates={19_000: gate},
            refusals=[UnavailableError("lost")],
            break_at=20_000,
        )
        await stage.read(key_of(1), Reduce(4))
        gate.set()
        await stage.until(lambda: script.closed)
        assert stage.metric("broken_off_total", reason="reading on") == 1
        assert stage.used == 0

    play(scene)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(5000), "image/jpeg"),
        (bytes(3000), "application/octet-stream"),
        (b"\0\0\0\x18ftypmp42" + bytes(3000), "video/mp4"),
        (b"", "application/octet-stream"),
    ],
)
@pytest.mark.parametrize("max_bytes", MODES)
def test_other_formats_pass_whole_and_have_no_levels(
    play, key_of, body, media_type, max_bytes
):
    async def scene(stage):
        for number, asked in enumerate((None, Reduce(2), Reduce(2))):
            stage.source.add(key_of(number), body, media_type=media_type)
            reader = await stage.frames.open(key_of(number), "c")
            assert reader.media_type == media_type
            reader.close()
            assert await stage.read(key_of(number), asked) == body
        for name in (0, "cold"):
            stage.source.add(key_of(name), body, media_type=media_type)
            with pytest.raises(LevelsUnavailableError):
                await stage.read(key_of(name), LevelRange(0, 0))
        assert stage.metric("malformed_total") == 0

    play(scene, max_bytes)


@pytest.mark.parametrize("kind", ["main header", "cut short", "TLM and SOT"])
@pytest.mark.parametrize("max_bytes", MODES)
def test_a_malformed_codestream_passes_whole_and_is_counted(
    play, htj2k, key_of, kind, max_bytes
):
    body = broken_ones(htj2k)[kind]

    async def scene(stage):
        stage.source.add(key_of(1), body)
        assert await stage.read(key_of(1)) == body
        assert stage.metric("malformed_total") == 1
        if max_bytes:
            frame = stage.frames.stored(key_of(1))
            assert frame.part(frame.cut(Reduce(2))) == body
            assert await stage.read(key_of(1), Reduce(1)) == body
            assert stage.metric("malformed_total") == 1
        stage.source.add(key_of(2), body)
        with pytest.raises(CodestreamError):
            await stage.read(key_of(2), LevelRange(1, 4))

    play(scene, max_bytes)


def test_levels_of_a_codestream_that_turns_out_broken_are_broken_off(
    play, htj2k, key_of
):
    ends = scan_levels(htj2k).ends

    async def scene(stage):
        stage.source.add(key_of(1), broken_ones(htj2k)["TLM and SOT"], step=200)
        reader = await stage.frames.open(key_of(1), "c")
        found = await reader.locate(LevelRange(0, 3))
        assert found.stop == ends[3]
        got, error = await stage.taken(reader, found)
        assert isinstance(error, CodestreamError)
        assert got == htj2k[: len(got)]
        assert len(got) <= ends[1] + 12
        reader.close()

    play(scene)


@pytest.mark.parametrize("tlm", [True, False])
@pytest.mark.parametrize("max_bytes", MODES)
def test_a_level_that_is_not_there(play, encode, key_of, tlm, max_bytes):
    async def scene(stage):
        for name in ("cold", "cold"):
            stage.source.add(key_of(name), encode(tlm=tlm))
            with pytest.raises(LevelOutOfRangeError, match="5 levels, 0 to 4"):
                await stage.read(key_of(name), LevelRange(5, 5))
            await stage.read(key_of(name))

    play(scene, max_bytes)
