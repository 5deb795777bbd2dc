"""A decoder that takes its process down costs one file, not the job."""

from concurrent.futures.process import BrokenProcessPool

import pytest

from isocenter.devcloud.healthimaging import importing

MODULE = """
import os

def convert(path, directory, storage_format):
    if "crash" in path.name:
        os._exit(3)
    return path.name
"""


@pytest.fixture
def workers(tmp_path, monkeypatch):
    (tmp_path / "crashing_decoder.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import crashing_decoder  # noqa: PLC0415 - made just now

    monkeypatch.setattr(importing, "convert", crashing_decoder.convert)
    made = importing._Workers()
    yield made
    made.close()


def test_only_the_file_that_crashes_is_lost(workers, tmp_path):
    names = ["a", "crash", "b", "c"]
    results = []
    for name in names:
        request = (tmp_path / name, tmp_path / "out", "HTJ2K")
        future = workers.submit(*request)
        try:
            results.append(workers.result(future, *request))
        except BrokenProcessPool:
            results.append("broken")
    assert results == ["a", "broken", "b", "c"]
