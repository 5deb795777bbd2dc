"""Operations beside the reader, in threads that hold up nobody."""

import subprocess
import sys
import threading
import time

import pytest
from support.instances import eventually

from isocenter.storescp.association.window import Window

WAIT_S = 5


def nothing_fails(error):
    raise AssertionError(error)


def test_a_window_of_one_is_the_caller_s_thread():
    window = Window(1, nothing_fails)
    done = []
    window.enter()
    window.carry_out(lambda: done.append(threading.current_thread()))
    assert done == [threading.current_thread()]
    with pytest.raises(ValueError, match="its own"):
        window.carry_out(lambda: int("its own"))
    window.drain()


def test_no_more_threads_than_operations_at_a_time():
    window = Window(3, nothing_fails)
    threads = set()
    for _ in range(10):
        window.enter()
        window.carry_out(lambda: threads.add(threading.get_ident()))
        eventually(lambda: not window.busy)
    assert len(threads) == 1
    gate = threading.Barrier(4)
    for _ in range(3):
        window.enter()
        window.carry_out(lambda: gate.wait(WAIT_S))
    gate.wait(WAIT_S)
    window.drain()
    assert not window.busy


def test_threads_end_and_draining_twice_is_no_harm():
    before = threading.active_count()
    window = Window(4, nothing_fails)
    done = []
    for number in range(8):
        window.enter()
        window.carry_out(lambda number=number: done.append(number))
    window.drain()
    window.drain()
    assert sorted(done) == list(range(8))
    eventually(lambda: threading.active_count() <= before)


def test_a_failure_is_told_and_gives_its_place_back():
    told = []
    window = Window(2, told.append)
    for _ in range(6):
        window.enter()
        window.carry_out(lambda: int("x"))
    window.drain()
    assert [type(error) for error in told] == [ValueError] * 6


def test_without_a_thread_the_caller_s_does_it(monkeypatch):
    def none_left(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    window = Window(2, nothing_fails)
    done = []
    for _ in range(3):
        window.enter()
        window.carry_out(lambda: done.append(threading.current_thread()))
    window.drain()
    assert done == [threading.current_thread()] * 3


HANGS = """
import threading
from isocenter.storescp.association.window import Window
window, begun = Window(2, print), threading.Event()
window.enter()
window.carry_out(lambda: (begun.set(), threading.Event().wait()))
begun.wait()
"""


def test_an_operation_that_hangs_does_not_keep_the_process():
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", HANGS], check=True, timeout=WAIT_S)
    assert time.monotonic() - began < WAIT_S
