"""How many connections fit under the process's limit of open files."""

import resource

import pytest

from isocenter.storescp.front import descriptors

INFINITE = resource.RLIM_INFINITY
LIMITS = [
    # soft, hard, raised to, room (100 wanted, 50 reserved, 256 for the rest)
    (1024, 4096, None, 100),
    (200, 4096, 406, 100),
    (200, INFINITE, 406, 100),
    (200, 400, 400, 94),
    (350, 350, 350, 44),
    (64, 64, 64, 16),
    (INFINITE, INFINITE, None, 100),
]


@pytest.mark.parametrize(("soft", "hard", "raised", "room"), LIMITS)
def test_room(monkeypatch, caplog, soft, hard, raised, room):
    calls = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: calls.append(both))
    assert descriptors.room(100, 50) == room
    assert calls == ([] if raised is None else [(raised, hard)])
    assert ("RLIMIT_NOFILE" in caplog.text) == (room < 100)


def test_each_instance_under_way_has_a_file_and_each_association_a_socket():
    assert descriptors.of_associations(32, 8) == 320
