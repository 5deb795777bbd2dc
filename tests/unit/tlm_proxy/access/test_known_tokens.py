"""What is remembered of tokens; nothing sleeps."""

import weakref

import pytest

from isocenter.tlm_proxy.access.caller import Caller
from isocenter.tlm_proxy.access.known_tokens import KnownTokens


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def caller(name):
    return Caller(name, {"sub": name})


def test_a_token_is_known_by_its_header_until_it_ends(clock):
    known = KnownTokens(clock)
    known.remember("t1", caller("a"), "k1", 1010.0)
    assert known.get(b"Bearer t1").subject == "a"
    for other in (b"bearer t1", b"Bearer  t1", b"t1", b"Bearer t2", b"Basic t1", b""):
        assert known.get(other) is None
    clock.now = 1009.9
    assert known.get(b"Bearer t1") is not None
    clock.now = 1010.0
    assert known.get(b"Bearer t1") is None
    assert len(known) == 0


def test_one_that_has_ended_is_not_remembered(clock):
    known = KnownTokens(clock)
    known.remember("t1", caller("a"), "k1", 1000.0)
    assert len(known) == 0


def test_the_one_not_used_for_longest_goes_first(clock):
    known = KnownTokens(clock, most=2)
    for name in ("t1", "t2"):
        known.remember(name, caller(name), "k1", 2000.0)
    known.get(b"Bearer t1")
    known.remember("t3", caller("t3"), "k1", 2000.0)
    assert known.get(b"Bearer t2") is None
    assert known.get(b"Bearer t1") is not None
    known.remember("t3", caller("t3"), "k1", 2000.0)
    assert len(known) == 2


def test_tokens_of_withdrawn_keys_go(clock):
    known = KnownTokens(clock)
    for number in range(10):
        known.remember(f"t{number}", caller("a"), f"k{number % 2}", 2000.0)
    known.keep_keys(["k1"])
    assert len(known) == 5
    assert known.get(b"Bearer t0") is None
    assert known.get(b"Bearer t1") is not None
    known.keep_keys([])
    assert len(known) == 0


def test_a_day_of_tokens_leaks_nothing(clock):
    """100 users, a new token each five minutes, for 24 hours: 28,800 tokens."""
    known = KnownTokens(clock, most=1000)
    alive = weakref.WeakValueDictionary()
    for minute in range(0, 24 * 60, 5):
        for user in range(100):
            token = f"token-{minute}-{user}"
            bearer = caller(token)
            alive[token] = bearer
            known.remember(token, bearer, "k1", clock.now + 600)
            assert known.get(b"Bearer " + token.encode()) is bearer
        clock.now += 300
        assert len(known) <= 1000
        assert len(alive) <= 1001
    clock.now += 10_000
    assert known.get(b"Bearer token-1435-99") is None
