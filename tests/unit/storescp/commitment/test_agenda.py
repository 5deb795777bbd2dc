import threading

from isocenter.storescp.commitment.agenda import Agenda


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_names_are_taken_when_they_are_due():
    clock = Clock()
    agenda = Agenda(clock)
    agenda.put("late", 10)
    agenda.put("early", 5)
    clock.now = 20
    assert [agenda.take(), agenda.take()] == ["early", "late"]


def test_a_name_is_moved_forward_but_not_back():
    clock = Clock()
    agenda = Agenda(clock)
    agenda.put("a", 10)
    agenda.put("a", 1)
    agenda.put("a", 50)
    clock.now = 1
    assert agenda.take() == "a"
    agenda.done("a")
    agenda.put("b", 0)
    clock.now = 100
    assert agenda.take() == "b"
    agenda.close()
    assert agenda.take() is None


def test_a_name_that_is_taken_waits_until_it_is_done():
    clock = Clock()
    agenda = Agenda(clock)
    agenda.put("a")
    agenda.put("b")
    assert agenda.take() == "a"
    agenda.put("a")
    assert agenda.take() == "b"
    taken = []
    thread = threading.Thread(target=lambda: taken.append(agenda.take()))
    thread.start()
    thread.join(0.05)
    assert not taken
    agenda.done("a")
    thread.join(5)
    assert taken == ["a"]


def test_close_wakes_who_waits():
    agenda = Agenda()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(agenda.take()))
    thread.start()
    agenda.close()
    thread.join(5)
    assert answers == [None]
