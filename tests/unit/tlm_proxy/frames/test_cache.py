import gc
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from isocenter.tlm_proxy.frames.cache import FrameCache
from isocenter.tlm_proxy.frames.frame import OVERHEAD, Frame
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.metrics import Metrics

COST = 4096
SIZE = COST - OVERHEAD
FRAMES = 100
BUDGET = FRAMES * COST


def key(name):
    return FrameKey("eu-west-1", "d" * 32, "5" * 32, str(name))


def frame(size=SIZE):
    return Frame(bytes(size), "image/jphc")


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def cache(registry):
    return FrameCache(BUDGET, Metrics(registry))


@pytest.fixture
def value(registry):
    def value(name):
        return registry.get_sample_value(f"isocenter_tlm_proxy_{name}")

    return value


def access(cache, name):
    """One request: a hit, or the frame is fetched and stored."""
    if cache.get(key(name)) is not None:
        return True
    cache.put(key(name), frame())
    return False


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("hot", [10, 50, 80])
def test_a_scan_does_not_flush_what_is_in_use(cache, hot, times):
    # times=2: a viewer asks for each frame's reduced level, then for all of it.
    rng = random.Random(4)
    for _ in range(hot * 8):
        access(cache, rng.randrange(hot))
    for number in range(20 * FRAMES):
        for _ in range(times):
            access(cache, f"scan {number}")
    hits = sum(access(cache, name) for name in range(hot))
    assert hits / hot >= 0.9
    assert cache.used <= BUDGET


def test_a_scan_among_what_is_in_use(cache):
    rng = random.Random(5)
    hits = []
    for number in range(20 * FRAMES):
        access(cache, f"scan {number}")
        hits.append(access(cache, f"hot {rng.randrange(50)}"))
    assert sum(hits[500:]) / len(hits[500:]) >= 0.9


def test_what_is_asked_for_again_soon_after_it_left_comes_to_stay(cache):
    for number in range(2 * FRAMES):
        access(cache, number)
    assert cache.peek(key(FRAMES - 1)) is None
    access(cache, FRAMES - 1)
    for number in range(2 * FRAMES):
        access(cache, f"scan {number}")
    assert cache.peek(key(FRAMES - 1)) is not None


def test_what_is_in_use_changes_with_the_users(cache):
    for names in ("morning", "evening"):
        for _ in range(6):
            for number in range(80):
                access(cache, f"{names} {number}")
    hits = sum(access(cache, f"evening {number}") for number in range(80))
    assert hits >= 72


def test_metrics(cache, value):
    for number in range(FRAMES + 5):
        access(cache, number)
    access(cache, FRAMES)
    assert value("cache_hits_total") == 1
    assert value("cache_misses_total") == FRAMES + 5
    assert value("cache_evictions_total") == 5
    assert value("cache_frames") == len(cache) == FRAMES
    assert value("cache_bytes") == cache.used == BUDGET
    cache.put(key("big"), frame(BUDGET // 8))
    assert value("cache_refusals_total") == 1
    cache.peek(key(FRAMES))
    cache.peek(key("nothing"))
    assert value("cache_hits_total") == 1
    assert value("cache_misses_total") == FRAMES + 5


def test_a_frame_over_its_share_is_refused(cache, value):
    share = BUDGET // 8
    assert cache.reserve(share - OVERHEAD + 1) is None
    assert cache.reserve(share) is None
    room = cache.reserve(None)
    assert room.grow(share - OVERHEAD)
    assert not room.grow(share - OVERHEAD + 1)
    assert cache.used == share - OVERHEAD
    room.release()
    room.release()
    assert cache.used == 0
    assert value("cache_refusals_total") == 3


def test_arriving_frames_take_half_at_most(cache):
    rooms = [cache.reserve(COST) for _ in range(FRAMES)]
    assert sum(room is not None for room in rooms) == FRAMES // 2
    assert cache.used == BUDGET // 2
    for room in rooms[: FRAMES // 2]:
        room.release()
    assert cache.used == 0


def test_arriving_bytes_push_stored_frames_out(cache):
    for number in range(FRAMES):
        cache.put(key(number), frame())
    assert cache.reserve(10 * COST) is not None
    assert cache.used <= BUDGET
    assert len(cache) == FRAMES - 10
    cache.hold(5 * COST)
    assert len(cache) == FRAMES - 15
    cache.hold(-5 * COST)
    assert cache.used == BUDGET - 5 * COST


def test_held_bytes_know_their_share(cache):
    assert cache.hold(BUDGET // 8)
    assert not cache.hold(1)
    assert cache.hold(-1)


def test_frames_that_were_put_out_count_until_nobody_reads_them(cache):
    slow = [frame() for _ in range(30)]
    for number, read in enumerate(slow):
        cache.put(key(number), read)
    del read
    for number in range(FRAMES):
        cache.put(key(f"next {number}"), frame())
    assert cache.peek(key(0)) is None
    assert len(cache) == FRAMES - 30
    assert cache.used == BUDGET
    # They take from what may arrive.
    assert sum(cache.reserve(COST) is not None for _ in range(FRAMES)) == 20
    slow.clear()
    gc.collect()
    assert cache.used == BUDGET - 30 * COST


def test_a_frame_stored_already_stays_what_it_is(cache):
    first, second = frame(), frame()
    cache.put(key(1), first)
    cache.put(key(1), second)
    assert cache.get(key(1)) is first
    assert len(cache) == 1
    assert cache.used == 2 * COST
    del second
    assert cache.used == COST


def test_no_budget_no_cache(registry, value):
    cache = FrameCache(0, Metrics(registry))
    assert cache.reserve(1) is None
    cache.put(key(1), frame())
    assert len(cache) == cache.used == 0
    assert value("cache_refusals_total") == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 9_000), st.booleans()),
        max_size=200,
    )
)
def test_the_budget_holds_whatever_is_asked_for(steps):
    budget = 64_000
    cache = FrameCache(budget, Metrics(CollectorRegistry()))
    held = []
    for name, size, keep in steps:
        found = cache.get(key(name))
        if found is None:
            room = cache.reserve(size)
            if room is None:
                continue
            room.release()
            found = frame(size)
            cache.put(key(name), found)
        if keep and sum(f.cost for f in held) < budget // 4:
            held.append(found)
        del found
        assert cache.used <= budget
        stored = [cache.peek(key(n)) for n in range(41)]
        outside = {id(f): f.cost for f in held if all(f is not s for s in stored)}
        costs = sum(f.cost for f in stored if f) + sum(outside.values())
        assert cache.used == costs
        assert len(cache._frames) == len(cache._small) + len(cache._main)
        assert cache._ghost_bytes == sum(cache._ghosts.values()) <= budget
