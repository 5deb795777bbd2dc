import threading

import pytest

from isocenter.storescp.work import LONGEST_DELAY_S, Task, WorkQueue, delay_s


@pytest.mark.parametrize(
    ("attempt", "chance", "expected"),
    [(1, 1, 0.5), (1, 0, 0.25), (2, 1, 1.0), (5, 1, 8.0), (99, 1, LONGEST_DELAY_S)],
)
def test_delay(attempt, chance, expected):
    assert delay_s(attempt, chance) == expected


def test_due_tasks_come_in_order():
    queue = WorkQueue()
    tasks = [Task("instance", "b", str(n)) for n in range(5)]
    for task in tasks:
        queue.put(task)
    assert [queue.take() for _ in tasks] == tasks


def test_a_failed_task_waits_while_others_go_on():
    now = [0.0]
    queue = WorkQueue(clock=lambda: now[0], chance=lambda: 1.0)
    first, second = Task("instance", "b", "1"), Task("instance", "b", "2")
    queue.put(first)
    assert queue.put_back(queue.take()) == 0.5
    queue.done()
    queue.put(second)
    assert queue.take() == second
    now[0] = 0.5
    assert queue.take() == first.again()


def test_hurry_and_empty():
    queue = WorkQueue()
    queue.put_back(Task("manifest", "b", attempt=9))
    assert not queue.wait_empty(0)
    queue.hurry()
    assert queue.take().attempt == 10
    assert not queue.wait_empty(0)  # taken is not done
    queue.done()
    assert queue.wait_empty(0)
    assert len(queue) == 0


def test_close_wakes_everybody():
    queue = WorkQueue()
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(queue.take())) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    queue.close()
    for thread in threads:
        thread.join(5)
    assert answers == [None] * 3
