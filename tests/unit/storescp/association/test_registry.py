"""Places and the end of associations."""

import threading
from contextlib import ExitStack

from support.instances import eventually

from isocenter.storescp.association.registry import Registry


class Association:
    def __init__(self):
        self.said = []
        self.ended = threading.Event()

    def end_when_idle(self):
        self.said.append("end")

    def abort(self):
        self.said.append("abort")
        self.ended.set()


def test_places_are_counted_for_each_peer():
    registry = Registry()
    for peer in ("a", "a", "b"):
        registry.enter(peer)
    assert (registry.total(), registry.of("a"), registry.of("c")) == (3, 2, 0)
    registry.leave("a")
    registry.leave("b")
    assert (registry.total(), registry.of("a"), registry.of("b")) == (1, 1, 0)


def test_what_does_not_end_is_asked_then_aborted():
    registry, association = Registry(), Association()

    def run():
        with registry.running(association):
            association.ended.wait(5)

    thread = threading.Thread(target=run)
    thread.start()
    while not registry.active():
        pass
    assert not registry.wait_empty(0.01)
    registry.end_all(0.05)
    thread.join()
    assert association.said == ["end", "abort"]


def test_a_peer_that_takes_no_abort_holds_up_no_other():
    registry, let_go = Registry(), threading.Event()

    class Stuck(Association):
        def abort(self):
            self.said.append("abort")
            assert let_go.wait(30)

    stuck = [Stuck() for _ in range(3)]
    ending = threading.Thread(target=registry.end_all, args=(0.05,))
    with ExitStack() as stack:
        for association in stuck:
            stack.enter_context(registry.running(association))
        ending.start()
        try:
            ending.join(10)
            assert not ending.is_alive()
            eventually(lambda: [one.said for one in stuck] == 3 * [["end", "abort"]])
        finally:
            let_go.set()
            ending.join()


def test_an_association_whose_thread_begins_after_the_end_is_told():
    registry, late = Registry(), Association()
    registry.enter("a")
    registry.end_all(0.01)
    with registry.running(late):
        assert late.said == ["end"]
    registry.leave("a")
    assert registry.wait_empty(0)
