"""When a service is asked, and when not; nothing sleeps."""

import pytest

from isocenter.tlm_proxy.upstream.circuit import (
    LONGEST_PAUSE_S,
    PAUSE_S,
    PROBE_S,
    Circuit,
    State,
)


class Clock:
    now = 7.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def circuit(clock):
    return Circuit(clock)


def play(circuit, outcomes):
    """f1: a failure about thing 1; s: a success."""
    for outcome in outcomes:
        entry = circuit.enter()
        assert entry is not None
        if outcome == "s":
            circuit.succeeded(entry)
        else:
            circuit.failed(entry, outcome)


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([], State.CLOSED),
        (["f1", "f2", "f3"] * 3 + ["f1"], State.OPEN),
        (["f1", "f2", "f3"] * 3, State.CLOSED),
        # a success in between starts the count again
        (["f1", "f2", "f3"] * 3 + ["s", "f1"], State.CLOSED),
        # one or two frames that can't be read say nothing of the service
        (["f1"] * 50, State.CLOSED),
        (["f1", "f2"] * 50, State.CLOSED),
        (["f1"] * 50 + ["f2", "f3"], State.OPEN),
    ],
)
def test_what_opens_it(circuit, outcomes, state):
    play(circuit, outcomes)
    assert circuit.state is state
    assert (circuit.enter() is None) == (state is State.OPEN)


def open_now(circuit):
    while circuit.state is State.CLOSED:
        entry = circuit.enter()
        circuit.failed(entry, f"f{circuit._failures}")


def test_it_says_when_and_then_lets_one_probe(circuit, clock):
    open_now(circuit)
    assert circuit.retry_after() == PAUSE_S
    clock.now += PAUSE_S - 0.5
    assert circuit.retry_after() == 0.5
    assert circuit.enter() is None
    clock.now += 0.5
    probe = circuit.enter()
    assert probe is not None
    assert circuit.state is State.HALF_OPEN
    assert circuit.enter() is None
    assert 0 < circuit.retry_after() <= PAUSE_S
    circuit.succeeded(probe)
    assert circuit.state is State.CLOSED
    assert circuit.retry_after() == 0


def test_pauses_double_up_to_a_minute_and_start_over_after_success(circuit, clock):
    open_now(circuit)
    pauses = []
    for _ in range(8):
        pauses.append(circuit.retry_after())
        clock.now += pauses[-1]
        circuit.failed(circuit.enter(), "f1")
    assert pauses[:4] == [2, 4, 8, 16]
    assert pauses[-1] == LONGEST_PAUSE_S
    clock.now += LONGEST_PAUSE_S
    circuit.succeeded(circuit.enter())
    open_now(circuit)
    assert circuit.retry_after() == PAUSE_S


def test_calls_begun_before_it_changed_do_not_count(circuit, clock):
    old = [circuit.enter() for _ in range(5)]
    open_now(circuit)
    circuit.succeeded(old[0])
    assert circuit.state is State.OPEN
    clock.now += PAUSE_S
    probe = circuit.enter()
    circuit.failed(old[1], "f1")
    circuit.succeeded(old[2])
    assert circuit.state is State.HALF_OPEN
    circuit.succeeded(probe)
    circuit.failed(old[3], "f1")
    assert circuit.state is State.CLOSED


def test_a_probe_that_is_given_up_or_lost_lets_another_go(circuit, clock):
    open_now(circuit)
    clock.now += PAUSE_S
    circuit.abandoned(circuit.enter())
    second = circuit.enter()
    assert second is not None
    clock.now += PROBE_S
    third = circuit.enter()
    assert third is not None
    circuit.failed(second, "f1")
    assert circuit.state is State.HALF_OPEN
    circuit.succeeded(third)
    assert circuit.state is State.CLOSED


def test_giving_up_a_call_while_closed_changes_nothing(circuit):
    circuit.abandoned(circuit.enter())
    assert circuit.state is State.CLOSED
