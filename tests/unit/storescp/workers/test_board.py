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


def test_all_others_count(boards):
    parent, workers = boards
    for worker in workers:
        worker.note(4)
    assert parent.elsewhere() == 12
    assert {worker.elsewhere() for worker in workers} == {8}


def test_a_peer_counts_in_all_others(boards):
    parent, workers = boards
    for count, worker in enumerate(workers, 1):
        worker.note_peer("CT1 192.0.2.1", count)
    parent.note_peer("CT1 192.0.2.1", 100)  # it serves nobody
    assert parent.peer_elsewhere("CT1 192.0.2.1") == 6
    assert [w.peer_elsewhere("CT1 192.0.2.1") for w in workers] == [5, 4, 3]
    assert [w.peer_elsewhere("CT1 192.0.2.2") for w in workers] == [0, 0, 0]


def test_peers_of_who_leaves_count_until_it_has_ended(boards):
    parent, (first, second, _) = boards
    second.note_peer("CT1", 2)
    second.leave()
    assert first.peer_elsewhere("CT1") == 2
    second.note_peer("CT1", 1)
    assert first.peer_elsewhere("CT1") == 1
    parent.mark_away(1)
    assert first.peer_elsewhere("CT1") == 0


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
    assert first.elsewhere() == 0
    assert parent.elsewhere() == 5


def test_a_worker_that_never_came_takes_nothing(boards):
    _, (first, _, _) = boards
    first.note(1)
    assert not first.should_leave()


def test_alone():
    board = LoneBoard()
    board.note(7)
    assert not board.should_leave()
    board.note_peer("CT1", 7)
    assert board.elsewhere() == board.peer_elsewhere("CT1") == 0
    board.leave()
