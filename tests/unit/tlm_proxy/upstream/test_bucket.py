"""Tokens by the clock, and slowing down when throttled; nothing sleeps."""

import pytest

from isocenter.tlm_proxy.upstream.bucket import TokenBucket


class Clock:
    now = 50.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("rate", "steps"),
    [
        # (seconds passed, calls asked for, of these granted)
        (10, [(0, 15, 10), (0.1, 5, 1), (0.5, 5, 5), (60, 99, 10)]),
        (1000, [(0, 1500, 1000), (0.001, 5, 1), (0.25, 999, 250)]),
        # Slower than one a second: one call still fits, the next waits.
        (0.5, [(0, 2, 1), (1, 1, 0), (1, 2, 1), (100, 5, 1)]),
    ],
)
def test_calls_granted(rate, steps):
    clock = Clock()
    bucket = TokenBucket(rate, clock)
    for passed, asked, granted in steps:
        clock.now += passed + 1e-9
        assert [bucket.take() == 0 for _ in range(asked)].count(True) == granted


def test_the_wait_is_until_the_next_token():
    clock = Clock()
    bucket = TokenBucket(4, clock)
    for _ in range(4):
        assert bucket.take() == 0
    assert bucket.take() == pytest.approx(0.25)
    clock.now += 0.1
    assert bucket.take() == pytest.approx(0.15)
    clock.now += 0.151
    assert bucket.take() == 0


def test_a_token_given_back_can_be_taken_and_none_is_made_from_nothing():
    bucket = TokenBucket(2, Clock())
    bucket.give_back()
    assert [bucket.take() == 0 for _ in range(3)] == [True, True, False]
    bucket.give_back()
    assert [bucket.take() == 0 for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("full", "steps"),
    [
        # (seconds passed, throttled, rate after)
        # a burst of throttled calls halves once, the next one again
        (1000, [(0, True, 500), (0.5, True, 525), (0.6, True, 277.5)]),
        # all of it is back after ten seconds at most
        (1000, [(0, True, 500), (5, False, 750), (5, False, 1000), (99, False, 1000)]),
        # throttled again and again, a twentieth is left
        (1000, [(1.01, True, None)] * 30 + [(0, False, 50)]),
        (2, [(1.01, True, None)] * 30 + [(0, False, 0.5)]),
        # nor is a rate that was slow from the start taken lower
        (0.2, [(0, True, 0.2)]),
    ],
)
def test_slowing_down_and_recovering(full, steps):
    clock = Clock()
    bucket = TokenBucket(full, clock)
    for passed, throttled, rate in steps:
        clock.now += passed
        if throttled:
            bucket.slow_down()
        else:
            bucket.take()
        assert rate is None or bucket.rate == pytest.approx(rate, rel=0.02)
        assert 0 < bucket.rate <= full


def test_what_was_saved_up_is_gone_when_throttled():
    clock = Clock()
    bucket = TokenBucket(100, clock)
    bucket.slow_down()
    assert bucket.take() > 0
    clock.now += 0.1
    granted = [bucket.take() == 0 for _ in range(20)].count(True)
    assert granted == 5
