"""Who has to go when too many connections wait."""

import pytest

from isocenter.storescp.association.refusal import Rejection
from isocenter.storescp.front.limits import MOST_HELD, Limits, Queue
from isocenter.storescp.front.pending import Pending

COUNTS = [
    # established in all, of the peer, refused
    (0, 0, False),
    (31, 15, False),
    (32, 0, True),
    (0, 16, True),
]


@pytest.mark.parametrize(("established", "of_peer", "refused"), COUNTS)
def test_associations(established, of_peer, refused):
    found = Limits().refused(established, of_peer)
    assert bool(found) == refused
    assert found is None or found.why is Rejection.LOCAL_LIMIT


def queue_of(limits, addresses):
    queue = Queue(limits)
    for fd, address in enumerate(addresses):
        queue.add(fd, Pending(None, address, 104, float(fd), None))
    return queue


SURPLUS = [
    # those that wait, who comes, who goes (pending 4, of one peer 3)
    ("", "a", None),
    ("aab", "a", None),
    ("aaab", "a", 0),
    ("baaa", "a", 1),
    ("abaa", "c", 0),
    ("babc", "d", 0),
    ("caba", "d", 1),
]


@pytest.mark.parametrize(("waiting", "comes", "goes"), SURPLUS)
def test_the_longest_waiting_of_the_busiest_peer_goes(waiting, comes, goes):
    queue = queue_of(Limits(pending=4, pending_per_peer=3), waiting)
    assert queue.surplus(comes) == goes


def test_the_queue_forgets():
    queue = queue_of(Limits(), "ab")
    assert [fd for fd, _ in queue.due(0.5)] == [0]
    queue.remove(0)
    assert list(queue) == [1]
    queue.remove(1)
    assert queue.oldest_of_busiest() is None
    assert not queue._of


def test_who_holds_most_of_a_request_goes_when_all_hold_too_much():
    queue = queue_of(Limits(), "abc")
    assert queue.hold(0, 100) is None
    assert queue.hold(1, MOST_HELD - 100) is None
    assert queue.hold(1, MOST_HELD - 200) is None
    assert queue.hold(2, 100) is None
    assert queue.hold(2, 101) == 1
    queue.remove(1)
    assert queue.hold(0, MOST_HELD - 101) is None
    assert queue.hold(0, 0) is None


def test_one_address_can_t_push_out_others():
    limits = Limits()
    queue = queue_of(limits, "a" * 400 + "b" * (limits.pending - 400))
    for fd in range(limits.pending, limits.pending + 3000):
        queue.remove(queue.surplus("b"))
        queue.add(fd, Pending(None, "b", 104, float(fd), None))
    assert set(range(400)) < set(queue)
    assert queue.surplus("c") not in range(400)
