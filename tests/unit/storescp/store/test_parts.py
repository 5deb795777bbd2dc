"""Files that are written over, and what a volume gets back of them."""

import errno
import os
from pathlib import Path

import pytest

from isocenter.storescp.store import parts as module
from isocenter.storescp.store.parts import Parts


@pytest.fixture
def parts(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.part").write_bytes(b"of an earlier process")
    made = Parts(tmp_path / "in")
    made.prepare()
    return made


def names(tmp_path):
    return sorted(path.suffix for path in (tmp_path / "in").iterdir())


def write(parts, content):
    part = parts.take()
    os.write(part.file, content)
    os.close(part.file)
    return part


def test_a_file_that_is_done_with_is_written_over(parts, tmp_path):
    first = write(parts, b"12345")
    elsewhere = tmp_path / "batch.dcm"
    Path(first.path).rename(elsewhere)
    inode = elsewhere.stat().st_ino
    parts.give_back(str(elsewhere), 5)
    assert names(tmp_path) == [".blank"]
    again = parts.take()
    assert os.fstat(again.file).st_ino == inode
    assert again.bytes == 5
    os.close(again.file)
    other = parts.take()
    assert other.bytes == 0
    assert os.fstat(other.file).st_ino != inode
    os.close(other.file)


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [([100], 1), ([101], 0), ([100, 50], 2), ([100, 51], 1), ([50, 50, 50, 1], 3)],
)
def test_large_files_and_more_than_a_share_are_removed(
    parts, tmp_path, monkeypatch, sizes, kept
):
    monkeypatch.setattr(module, "_LARGEST_BYTES", 100)
    parts._most_bytes = 150
    files = [write(parts, b"") for _ in sizes]
    for part, size in zip(files, sizes, strict=True):
        parts.give_back(part.path, size)
    assert names(tmp_path) == [".blank"] * kept


def test_what_nobody_needs_is_removed_at_the_second_look(parts, tmp_path):
    files = [parts.take() for _ in range(3)]
    for part in files:
        os.close(part.file)
        parts.give_back(part.path, 10)
    parts.trim()
    assert names(tmp_path) == [".blank"] * 3
    os.close(parts.take().file)  # one is in use between the looks
    parts.trim()
    assert names(tmp_path) == [".blank"]
    assert parts._bytes == 0


def test_a_blank_that_somebody_removed_is_no_loss(parts, tmp_path):
    part = write(parts, b"1")
    parts.give_back(part.path, 1)
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    assert parts.take().bytes == 0


def test_a_file_that_is_gone_is_an_error_and_no_blank(parts, tmp_path):
    with pytest.raises(FileNotFoundError):
        parts.give_back(str(tmp_path / "none"), 10)
    assert parts._bytes == 0
    assert parts.take().bytes == 0


def test_a_start_removes_everything(parts, tmp_path):
    parts.give_back(write(parts, b"1").path, 1)
    write(parts, b"2")
    Parts(tmp_path / "in").prepare()
    assert not names(tmp_path)


def test_a_process_that_is_still_ending_writes_over_nothing_of_the_next(
    parts, tmp_path
):
    late = tmp_path / "batch.dcm"
    late.write_bytes(b"of the earlier")
    following = Parts(tmp_path / "in")
    following.prepare()
    following.give_back(write(following, b"1").path, 1)
    part = following.take()
    os.write(part.file, b"of the next")
    for _ in range(3):  # whatever number the blank gets
        parts.give_back(str(late), 14)
        os.close(parts.take().file)
        late.write_bytes(b"of the earlier")
    assert Path(part.path).stat().st_ino == os.fstat(part.file).st_ino
    os.close(part.file)


def test_a_blank_that_cannot_be_opened_is_removed(parts, tmp_path, monkeypatch):
    parts.give_back(write(parts, b"1").path, 1)
    really = os.open

    def denied(path, *rest):
        if str(path).endswith(".blank"):
            raise OSError(errno.EACCES, "denied")
        return really(path, *rest)

    monkeypatch.setattr(os, "open", denied)
    part = parts.take()
    os.close(part.file)
    assert part.bytes == 0
    assert names(tmp_path) == [".part"]


def test_blanks_that_cannot_be_removed_are_tried_again(parts, tmp_path, monkeypatch):
    files = [write(parts, b"12345") for _ in range(3)]
    for part in files:
        parts.give_back(part.path, 5)
    parts.trim()
    with monkeypatch.context() as patch:

        def away(_path):
            raise OSError(errno.EIO, "away")

        patch.setattr(os, "unlink", away)
        with pytest.raises(OSError, match="away"):
            parts.trim()
    assert parts._bytes == 15
    parts.trim()
    assert not names(tmp_path)
    assert parts._bytes == 0
