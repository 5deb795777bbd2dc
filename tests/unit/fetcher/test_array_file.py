import errno
import hashlib
import os
import threading

import numpy as np
import pytest

from isocenter.fetcher.array_file import ArrayFileWriter, write_durably


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set" / "001-001.npy"


def test_slices_go_to_their_places_in_any_order(path):
    wanted = np.arange(4 * 3 * 5, dtype=np.int16).reshape(4, 3, 5)
    writer = ArrayFileWriter.create(path, wanted.shape, "int16")
    threads = [
        threading.Thread(target=writer.slot(i).write, args=(wanted[i],))
        for i in (2, 0, 3, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not path.exists()

    size, digest = writer.finish()

    assert np.array_equal(np.load(path), wanted)
    body = path.read_bytes()
    assert (size, digest) == (len(body), hashlib.sha256(body).hexdigest())
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_room_is_taken_at_once(path):
    writer = ArrayFileWriter.create(path, (10, 100, 100), "uint8")
    assert writer.part.stat().st_blocks * 512 >= 100_000


@pytest.mark.parametrize("kept", [[0], [1, 3], [0, 1, 2, 3]])
def test_keep(path, kept):
    wanted = np.random.default_rng(1).integers(0, 9, (4, 2, 2, 3)).astype("u1")
    writer = ArrayFileWriter.create(path, wanted.shape, "uint8")
    for index, plane in enumerate(wanted):
        writer.slot(index).write(plane)
    smaller = writer.keep(reversed(kept))
    smaller.finish()
    assert np.array_equal(np.load(path), wanted[kept])
    assert smaller.shape == (len(kept), 2, 2, 3)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_discard(path):
    writer = ArrayFileWriter.create(path, (1, 2, 2), "uint8")
    writer.discard()
    writer.discard()
    assert not list(path.parent.iterdir())


def test_write_durably_replaces_whole_files(tmp_path):
    path = tmp_path / "manifest.json"
    write_durably(path, b"one")
    write_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.json"]


def test_a_full_disk_names_the_file_and_the_room_it_needs(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"bytes are needed.*a\.npy") as caught:
        ArrayFileWriter.create(tmp_path / "a.npy", (2, 3), "uint8")
    assert caught.value.errno == errno.ENOSPC
