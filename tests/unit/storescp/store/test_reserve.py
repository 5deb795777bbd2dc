"""A volume that is full to the last block can still be emptied."""

import errno
import os

import pytest

from isocenter.storescp.status import StoreRefusedError
from isocenter.storescp.store.reserve import Reserve


def full():
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_room_is_given_up_when_it_is_needed(tmp_path):
    reserve = Reserve(tmp_path)
    reserve.hold()
    assert (tmp_path / "reserve").stat().st_size >= 64 * 1024
    tries = []

    def write():
        tries.append((tmp_path / "reserve").exists())
        if tries[-1]:
            full()
        return "written"

    assert reserve.within(write) == "written"
    assert tries == [True, False]
    assert not reserve.held
    reserve.hold()
    assert reserve.held


def test_other_errors_are_not_its_business(tmp_path):
    reserve = Reserve(tmp_path)
    reserve.hold()

    def broken():
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        reserve.within(broken)
    assert reserve.held


def test_without_room_none_is_held(tmp_path, monkeypatch):
    reserve = Reserve(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", lambda *_: full())
        reserve.hold()
    assert not reserve.held
    assert not list(tmp_path.iterdir())
    reserve.hold()
    assert reserve.held


def test_nothing_is_taken_while_the_reserve_is_used(store, instances):
    store.send(next(instances))
    store.spool.reserve._give_up()
    with pytest.raises(StoreRefusedError, match="full"):
        store.send(next(instances))
    store.spool.remove_stale(0)
    assert store.send(next(instances)).bytes
