import pytest
from prometheus_client import CollectorRegistry

from isocenter.tlm_proxy.frames.cache import _OVERHEAD, Frame, FrameCache
from isocenter.tlm_proxy.metrics import Metrics

SIZE = 4096 - _OVERHEAD
BUDGET = 8 * 4096


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def cache(registry):
    return FrameCache(BUDGET, Metrics(registry))


def put(cache, key, size=SIZE):
    room = cache.reserve()
    if room.grow(size):
        room.keep(key, Frame(bytes(size), "image/jphc"))


def value(registry, name):
    return registry.get_sample_value(f"isocenter_tlm_proxy_{name}")


def test_the_least_recently_used_goes_first(cache, registry, key_of):
    keys = [key_of(name) for name in "0123456789"]
    for key in keys[:8]:
        put(cache, key)
    assert cache.get(keys[0]) is not None
    put(cache, keys[8])
    assert cache.get(keys[1]) is None
    assert cache.get(keys[0]) is not None
    assert cache.used <= BUDGET
    assert value(registry, "cache_evictions_total") == 1
    assert value(registry, "cache_hits_total") == 2
    assert value(registry, "cache_misses_total") == 1
    assert value(registry, "cache_frames") == len(cache) == 8
    assert value(registry, "cache_bytes") == cache.used == BUDGET


def test_a_frame_over_its_share_is_refused(cache, registry, key_of):
    room = cache.reserve()
    assert room.grow(SIZE)
    assert not room.grow(1)
    assert not room.grow(0)
    room.keep(key_of("a"), Frame(bytes(SIZE + 1), ""))
    assert cache.used == len(cache) == 0
    assert value(registry, "cache_refusals_total") == 1


def test_arriving_frames_take_half_at_most(cache):
    rooms = [cache.reserve() for _ in range(8)]
    taken = [room.grow(SIZE) for room in rooms]
    assert taken == [True] * (BUDGET // 2 // SIZE) + [False] * (8 - BUDGET // 2 // SIZE)
    for room in rooms:
        room.release()
        room.release()
    assert cache.used == 0


def test_arriving_bytes_push_stored_frames_out(cache, key_of):
    for name in "01234567":
        put(cache, key_of(name))
    room = cache.reserve()
    assert room.grow(SIZE)
    assert cache.used <= BUDGET
    assert len(cache) == 7


def test_a_frame_kept_twice_counts_once(cache, key_of):
    put(cache, key_of("a"))
    put(cache, key_of("a"))
    assert (len(cache), cache.used) == (1, 4096)


def test_no_budget_no_cache(registry):
    assert FrameCache(0, Metrics(registry)).reserve() is None
