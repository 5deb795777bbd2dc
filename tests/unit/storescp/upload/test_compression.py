import gzip
import hashlib
import os

import pytest

from isocenter.storescp.upload.compression import compressed, compressed_file


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(os.urandom(1_500_000) + bytes(1_500_000))
    return path


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "incoming"
    made.mkdir()
    return made


def test_a_file_s_gzip_form_and_what_is_said_of_it(source, folder):
    with compressed_file(source, folder, 5) as found:
        content = found.path.read_bytes()
    assert gzip.decompress(content) == source.read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (
        found.bytes,
        found.sha256,
    )
    assert found.bytes < 1_600_000
    assert list(folder.iterdir()) == []


def test_the_same_file_gives_the_same_bytes(source, folder):
    found = []
    for _ in range(2):
        with compressed_file(source, folder, 1) as one:
            found.append(one.sha256)
    assert found[0] == found[1]


def test_nothing_is_left_after_a_failure(tmp_path, folder):
    with pytest.raises(FileNotFoundError), compressed_file(tmp_path / "no", folder, 1):
        pass
    assert list(folder.iterdir()) == []


def test_a_document(tmp_path):
    assert gzip.decompress(compressed(b"{}", 9)) == b"{}"
    assert compressed(b"{}", 9) == compressed(b"{}", 9)
