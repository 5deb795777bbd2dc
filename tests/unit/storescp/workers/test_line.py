import socket
import threading

import pytest

from isocenter.storescp.workers.line import Line, answer_parent


@pytest.fixture
def connect():
    """A line to a worker with some answers; hangs up at the end."""
    lines = []

    def connect_one(answers):
        ours, theirs = socket.socketpair()
        gone = threading.Event()
        thread = answer_parent(theirs, answers, gone.set)
        line = Line(ours)
        lines.append((line, thread))
        return line, gone

    yield connect_one
    for line, thread in lines:
        line.close()
        thread.join(5)
        assert not thread.is_alive()


def test_questions_are_answered(connect):
    line, _ = connect({"ready": lambda: "", "metrics": lambda: "µ" * 300_000})
    assert line.ask("ready", 5) == ""
    assert line.ask("metrics", 5) == "µ" * 300_000
    assert line.ask("what?", 5) == ""


def test_a_late_answer_is_not_taken_for_the_next(connect):
    slow = threading.Event()

    def answer():
        slow.wait(5)
        return "late"

    line, _ = connect({"slow": answer, "quick": lambda: "quick"})
    assert line.ask("slow", 0.05) is None
    slow.set()
    assert line.ask("quick", 5) == "quick"


def test_many_ask_at_once(connect):
    line, _ = connect({str(n): lambda n=n: str(n) * n for n in range(8)})
    wrong = []

    def ask(n):
        wrong.extend(n for _ in range(50) if line.ask(str(n), 5) != str(n) * n)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_worker_learns_that_its_parent_is_gone(connect):
    line, gone = connect({})
    assert not gone.is_set()
    line.close()
    assert gone.wait(5)


def test_a_dead_worker_answers_nothing():
    ours, theirs = socket.socketpair()
    theirs.close()
    line = Line(ours)
    assert line.ask("ready", 1) is None
    line.close()
