"""Workers here are small programs: what a real one does is main's."""

import os
import signal
import socket
import sys
import time

import pytest
from support.instances import eventually

from isocenter.storescp.workers.supervisor import Supervisor

WORKER = """
import os, signal, sys
from isocenter.storescp.workers.line import answer_parent
from isocenter.storescp.workers.place import Place
place = Place.parse(sys.argv[-1])
board = place.open_board()
board.note(place.number + 1)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
answer_parent(
    place.open_line(),
    {"pid": lambda: str(os.getpid())},
    lambda: os.kill(os.getpid(), signal.SIGTERM),
)
[(listener, tls)] = place.open_listeners()
listener.setblocking(True)
while True:
    accepted, _ = listener.accept()
    accepted.sendall(f"{place.number} {tls}".encode())
    accepted.close()
"""


@pytest.fixture
def supervise(tmp_path):
    """Starts supervisors of small programs; stops them at the end."""
    made = []

    def one(program=WORKER, count=2):
        path = tmp_path / "worker.py"
        path.write_text(program)
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        supervisor = Supervisor([(listener, False)], count, [sys.executable, str(path)])
        made.append(supervisor)
        return supervisor, port

    yield one
    for supervisor in made:
        supervisor.stop(5)
        supervisor.close()


def pids(supervisor):
    return {number: int(answer) for number, answer in supervisor.ask("pid")}


def all_there(supervisor, count=2):
    def there():
        assert supervisor.tick() is None
        found = pids(supervisor)
        return found if len(found) == count else None

    return eventually(there, 10)


def answer_of(port):
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        return connection.recv(100).decode()


def test_workers_take_connections_of_one_socket(supervise):
    supervisor, port = supervise()
    all_there(supervisor)
    assert {answer_of(port) for _ in range(5)} <= {"0 False", "1 False"}
    assert supervisor._board.elsewhere() == 3


def test_a_dead_worker_is_replaced(supervise):
    supervisor, port = supervise()
    before = all_there(supervisor)
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: pids(supervisor).keys() == {1}, 5)
    assert answer_of(port) == "1 False"
    after = all_there(supervisor)
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_associations_of_a_dead_worker_are_nobodys(supervise, tmp_path):
    note = "board.note(place.number + 1)\n"
    first = WORKER.replace(note, note + 'board.note_peer("CT1", place.number + 1)\n')
    supervisor, _ = supervise(first)
    board, before = supervisor._board, all_there(supervisor)
    assert board.peer_elsewhere("CT1") == 3
    (tmp_path / "worker.py").write_text(WORKER)  # who comes next notes no peer
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: pids(supervisor).keys() == {1}, 5)
    assert board.peer_elsewhere("CT1") == 3
    all_there(supervisor)
    assert board.peer_elsewhere("CT1") == 2


def test_a_connection_outlives_the_worker_that_did_not_take_it(supervise):
    supervisor, port = supervise(count=1)
    os.kill(all_there(supervisor, 1)[0], signal.SIGKILL)
    eventually(lambda: not pids(supervisor), 5)
    with socket.create_connection(("127.0.0.1", port), 5) as waiting:
        all_there(supervisor, 1)
        assert waiting.recv(100) == b"0 False"


def test_workers_end_in_order(supervise):
    supervisor, port = supervise()
    all_there(supervisor)
    assert supervisor.stop(10)
    with pytest.raises(ConnectionRefusedError):
        answer_of(port)
    assert not pids(supervisor)


def test_who_does_not_end_is_killed(supervise):
    deaf = WORKER.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
    supervisor, _ = supervise(deaf)
    all_there(supervisor)
    assert not supervisor.stop(0.2)


def test_workers_do_not_outlive_their_parent(supervise):
    supervisor, _ = supervise(count=1)
    all_there(supervisor, 1)
    [worker] = supervisor._workers
    worker.line.close()  # as the kernel does for a parent that was killed
    assert worker.process.wait(5) == 0


def test_a_setting_that_no_worker_can_use_ends_it_all(supervise):
    supervisor, _ = supervise("raise SystemExit(2)", count=1)
    assert eventually(supervisor.tick, 10) == 2


def test_who_dies_at_once_again_and_again_has_to_wait(supervise):
    supervisor, _ = supervise("raise SystemExit(1)", count=1)
    began = time.monotonic()
    while time.monotonic() - began < 1.5:
        assert supervisor.tick() is None
        time.sleep(0.01)
    assert supervisor._deaths[0] <= 3
    assert supervisor._due[0] - time.monotonic() > 0.3


def test_who_is_not_well_for_long_is_killed(supervise, monkeypatch):
    ill = WORKER.replace('"pid"', '"alive": lambda: "ill", "pid"')
    supervisor, _ = supervise(ill, count=1)
    before = all_there(supervisor, 1)
    monkeypatch.setattr("isocenter.storescp.workers.supervisor._ASK_ALIVE_S", 0.05)
    monkeypatch.setattr("isocenter.storescp.workers.supervisor._SILENT_S", 0.1)

    def replaced():
        supervisor.tick()
        found = pids(supervisor)
        return found and found != before

    eventually(replaced, 10)


def test_who_served_and_is_killed_again_and_again_is_replaced_at_once(supervise):
    supervisor, _ = supervise(count=1)
    for _ in range(3):
        found = all_there(supervisor, 1)
        os.kill(found[0], signal.SIGKILL)
        supervisor._workers[0].process.wait(5)
        assert supervisor.tick() is None
        assert supervisor._deaths == [0]
        assert supervisor.tick() is None
        assert supervisor._workers[0] is not None


def test_one_that_hangs_does_not_delay_the_replacement_of_another(
    supervise, monkeypatch
):
    monkeypatch.setattr("isocenter.storescp.workers.supervisor._ASK_ALIVE_S", 0.05)
    supervisor, _ = supervise()
    before = all_there(supervisor)
    os.kill(before[0], signal.SIGSTOP)
    try:
        supervisor.tick()
        time.sleep(0.1)
        supervisor.tick()  # it is being asked now, and does not answer
        began = time.monotonic()
        os.kill(before[1], signal.SIGKILL)
        killed = supervisor._workers[1].process
        killed.wait(5)
        eventually(
            lambda: (
                supervisor.tick() is None
                and supervisor._workers[1] is not None
                and supervisor._workers[1].process is not killed
            ),
            2,
        )
        assert time.monotonic() - began < 2
    finally:
        os.kill(before[0], signal.SIGCONT)
