import subprocess
import sys

import pytest

from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.workers import peer_counts
from isocenter.storescp.workers.board import SharedBoard
from isocenter.storescp.workers.peer_counts import BYTES, SLOTS, PeerCounts, key_of

A, B, C = (key_of(f"CT{number} 192.0.2.1") for number in range(3))


@pytest.fixture
def table():
    """A writer and a reader of the same memory, between others' tables."""
    memory = bytearray(3 * BYTES)
    return PeerCounts(memory, BYTES), PeerCounts(memory, BYTES), memory


HISTORIES = [
    # what was noted, one after the other; what is read of A, B, C
    ([], (0, 0, 0)),
    ([(A, 1)], (1, 0, 0)),
    ([(A, 1), (A, 2), (B, 7)], (2, 7, 0)),
    ([(A, 1), (A, 0)], (0, 0, 0)),
    ([(A, 0), (B, 0)], (0, 0, 0)),
    ([(A, 1), (B, 2), (A, 0), (C, 3)], (0, 2, 3)),
    ([(A, 1), (B, 2), (A, 0), (C, 3), (A, 4)], (4, 2, 3)),
    ([(A, 1), (B, 2), (A, 0), (B, 0), (B, 1), (A, 2)], (2, 1, 0)),
]


@pytest.mark.parametrize(("noted", "read"), HISTORIES)
def test_what_is_noted_is_read(table, noted, read):
    writer, reader, memory = table
    for key, count in noted:
        writer.note(key, count)
    assert tuple(map(reader.of, (A, B, C))) == read
    assert not any(memory[:BYTES])
    assert not any(memory[2 * BYTES :])
    # What nobody has leaves no trace, nor takes a slot.
    for key in (A, B, C):
        writer.note(key, 0)
    assert not any(memory)
    assert len(writer._free) == SLOTS


def test_what_does_not_fit_is_not_there_until_it_does(table):
    writer, reader, _ = table
    keys = [key_of(str(number)) for number in range(SLOTS + 1)]
    for count, key in enumerate(keys, 1):
        writer.note(key, count)
    assert [reader.of(key) for key in keys] == [*range(1, SLOTS + 1), 0]
    writer.note(keys[17], 0)
    writer.note(keys[SLOTS], 2)
    assert reader.of(keys[17]) == 0
    assert reader.of(keys[SLOTS]) == 2


def test_a_slot_that_changes_hands_while_it_is_read_is_not_the_first_peers(table):
    writer, reader, memory = table
    writer.note(A, 1)

    class Slow(bytearray):
        """Memory in which the slot gets another peer once it is found."""

        def find(self, *where):
            at = memory.find(*where)
            writer.note(A, 0)
            writer.note(B, 9)
            return at

    reader._memory = Slow()
    assert reader.of(A) == 0


def test_half_of_another_key_is_no_key(table):
    writer, reader, _ = table
    writer.note(A[8:] + A[:8], 1)
    writer.note(A[8:] + A[:8][::-1], 2)
    assert reader.of(A) == 0
    # Nor is a key that begins within a slot.
    writer.note(bytes(8) + A[:8], int.from_bytes(A[8:], "little", signed=True))
    assert reader.of(A) == 0


def test_keys_say_nothing_and_are_not_alike():
    assert len({A, B, C}) == 3
    assert {len(key) for key in (A, B, C)} == {16}
    assert b"CT" not in A


WORKER = """
import sys
from isocenter.storescp.workers.board import SharedBoard
board = SharedBoard(int(sys.argv[1]), 2, int(sys.argv[2]))
for line in sys.stdin:
    peer, count = line.split()
    board.note_peer(peer, int(count))
    print(board.peer_elsewhere(peer), flush=True)
"""


def test_processes_see_each_others_counts_until_the_parent_clears_them():
    board = SharedBoard.create(2)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(board.file), str(number)],
            pass_fds=[board.file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]

    def note(number, peer, count):
        worker = workers[number]
        worker.stdin.write(f"{peer} {count}\n")
        worker.stdin.flush()
        return int(worker.stdout.readline())

    try:
        assert note(0, "CT1", 3) == 0
        assert note(1, "CT1", 2) == 3
        assert note(0, "CT1", 4) == 2
        assert note(1, "CT2", 1) == 0
        assert board.peer_elsewhere("CT1") == 6
        workers[0].kill()
        workers[0].wait(5)
        assert note(1, "CT1", 2) == 4  # nobody has told yet
        board.mark_away(0)
        assert note(1, "CT1", 2) == 0
        assert board.peer_elsewhere("CT1") == 2
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
        board.close()


def test_each_association_there_may_be_fits():
    field = StoreScpSettings.model_fields["maximum_associations"]
    [most] = [each.le for each in field.metadata if hasattr(each, "le")]
    assert most <= peer_counts.SLOTS
