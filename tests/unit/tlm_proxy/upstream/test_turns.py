"""Who is next."""

import time

import pytest

from isocenter.tlm_proxy.upstream.turns import Turns


def drained(turns):
    taken = []
    while (call := turns.next()) is not None:
        taken.append(call)
    return taken


@pytest.mark.parametrize(
    ("waiting", "order"),
    [
        ([], []),
        (["a1", "a2", "a3"], ["a1", "a2", "a3"]),
        (["a1", "a2", "a3", "b1"], ["a1", "b1", "a2", "a3"]),
        (["a1", "a2", "b1", "b2", "c1"], ["a1", "b1", "c1", "a2", "b2"]),
    ],
)
def test_clients_take_turns(waiting, order):
    turns = Turns(100)
    for call in waiting:
        assert turns.add(call[0], call) is None
    assert len(turns) == len(waiting)
    assert drained(turns) == order
    assert len(turns) == 0


def test_a_client_that_comes_back_does_not_jump_the_queue():
    turns = Turns(100)
    for call in ("a1", "a2", "b1", "c1"):
        turns.add(call[0], call)
    assert turns.next() == "a1"
    turns.add("d", "d1")
    assert drained(turns) == ["b1", "c1", "a2", "d1"]


@pytest.mark.parametrize(
    ("waiting", "comes", "turned_away"),
    [
        (["a1", "a2", "a3"], "b1", "a3"),
        (["a1", "a2", "a3"], "a4", "a4"),
        (["a1", "a2", "b1"], "b2", "b2"),
        (["a1", "b1", "c1"], "d1", "d1"),
    ],
)
def test_a_full_queue_turns_away_who_has_most(waiting, comes, turned_away):
    turns = Turns(3)
    for call in waiting:
        turns.add(call[0], call)
    assert turns.add(comes[0], comes) == turned_away
    assert len(turns) == 3
    assert turned_away not in drained(turns)


def test_who_leaves_is_not_called():
    turns = Turns(100)
    for call in ("a1", "a2", "b1"):
        turns.add(call[0], call)
    turns.drop("a", "a1")
    turns.drop("a", "a1")
    turns.drop("z", "z1")
    turns.drop("b", "b1")
    assert len(turns) == 1
    assert drained(turns) == ["a2"]


def test_a_long_queue_is_not_slow():
    turns = Turns(100_000)
    for number in range(50_000):
        turns.add("a", number)
    began = time.process_time()
    assert len(drained(turns)) == 50_000
    # A queue whose first is searched for takes minutes.
    assert time.process_time() - began < 15
