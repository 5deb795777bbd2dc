import pytest

from isocenter.storescp.workers.board import LoneBoard, SharedBoard


@pytest.fixture
def boards():
    """The parent's board and those of three workers."""
    parent = SharedBoard.create(3)
    yield parent, [SharedBoard(parent.file, 3, me) for me in range(3)]
    parent.close()


def test_who_has_more_leaves_the_next_connection_to_others(boards):
    _, (first, second, _) = boards
    first.note(2)
    second.note(1)
    assert first.should_leave()
    assert not second.should_leave()


def test_equals_race_for_it(boards):
    _, (first, second, _) = boards
    first.note(1)
    second.note(1)
    assert not first.should_leave()
    assert not second.should_leave()


def test_all_count(boards):
    parent, workers = boards
    for worker in workers:
        worker.note(4)
    assert {board.total() for board in (parent, *workers)} == {12}


@pytest.mark.parametrize("by", ["itself", "the parent"])
def test_nothing_is_left_to_who_is_away(boards, by):
    parent, (first, second, _) = boards
    first.note(5)
    second.note(0)
    assert first.should_leave()
    if by == "itself":
        second.leave()
    else:
        parent.mark_away(1)
    assert not first.should_leave()
    assert first.total() == 5


def test_a_worker_that_never_came_takes_nothing(boards):
    _, (first, _, _) = boards
    first.note(1)
    assert not first.should_leave()


def test_alone():
    board = LoneBoard()
    board.note(7)
    assert not board.should_leave()
    assert board.total() == 7
    board.leave()
