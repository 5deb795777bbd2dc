import threading

import pytest

from isocenter.storescp.store import durable


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "file"
    durable.write(path, b"first")

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        durable.write(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_callers_during_a_run_share_the_next_one():
    began, go_on = threading.Event(), threading.Event()
    runs = []

    def action():
        runs.append(1)
        began.set()
        assert go_on.wait(10)

    grouped = durable.Grouped(action)
    first = threading.Thread(target=grouped)
    first.start()
    assert began.wait(10)
    others = [threading.Thread(target=grouped) for _ in range(5)]
    for other in others:
        other.start()
    while grouped._next is None:  # the others are at it
        pass
    go_on.set()
    for thread in (first, *others):
        thread.join(10)
        assert not thread.is_alive()
    assert 2 <= len(runs) <= 6  # some may have come too late to share


def test_a_call_is_served_by_a_run_that_began_after_it():
    """Counts up before each call; what a run saw must cover it when the call ends."""
    said = [0] * 4
    seen = [0] * 4

    def action():
        seen[:] = said

    grouped = durable.Grouped(action)
    wrong = []

    def work(number):
        for count in range(1, 300):
            said[number] = count
            grouped()
            if seen[number] < count:
                wrong.append((number, count))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong


def test_an_error_reaches_those_it_was_for_and_nobody_else():
    errors = [OSError(5, "Input/output error")]

    def action():
        if errors:
            raise errors.pop()

    grouped = durable.Grouped(action)
    with pytest.raises(OSError, match="Input/output"):
        grouped()
    grouped()
