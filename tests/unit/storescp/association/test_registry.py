"""Places and the end of associations."""

import threading

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


def test_an_association_whose_thread_begins_after_the_end_is_told():
    registry, late = Registry(), Association()
    registry.enter("a")
    registry.end_all(0.01)
    with registry.running(late):
        assert late.said == ["end"]
    registry.leave("a")
    assert registry.wait_empty(0)
