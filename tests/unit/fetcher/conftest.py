"""Image sets from numpy arrays, a fake HealthImaging, S3 in memory."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from isocenter.core.errors import UnavailableError
from isocenter.core.run_request import ImageSetRef, RunRequest
from isocenter.core.testing.healthimaging import FakeHealthImaging
from isocenter.core.testing.image_sets import (
    InstanceSource,
    build_image_set,
    identifier,
)
from isocenter.fetcher.dataset import fetch
from isocenter.fetcher.download import FrameDownloader
from isocenter.fetcher.settings import FetcherSettings

DATASTORE = identifier("data store")
AXIAL = ["1 ", "0", "0", "0", "1", "0"]


@pytest.fixture
def datastore():
    return DATASTORE


@pytest.fixture
def healthimaging():
    return FakeHealthImaging()


@pytest.fixture
def settings(tmp_path):
    return FetcherSettings(
        decode_processes=1, workers=4, lock_wait_seconds=0, work_dir=tmp_path / "work"
    )


def ct_slice(index, *, shape=(40, 32), step=2.5, dicom=None, **more):
    """One signed CT slice; pixel values tell which one it is."""
    rng = np.random.default_rng(index)
    frame = rng.integers(-1000, 2000, shape, dtype=np.int16)
    attributes = {
        "ImageOrientationPatient": AXIAL,
        "ImagePositionPatient": ["-10.5", "-20", f"{100 + index * step} "],
        "PixelSpacing": ["0.5", "0.75"],
        "SliceThickness": "2.5 ",
        "RescaleSlope": "1 ",
        "RescaleIntercept": "-1024 ",
        "InstanceNumber": f"{index + 1} ",
    }
    return InstanceSource(frames=[frame], dicom=attributes | (dicom or {}), **more)


@pytest.fixture
def make_slice():
    return ct_slice


@pytest.fixture
def put(healthimaging):
    """Put an image set of the given instances into the fake; answers its content."""

    def put(instances, *, name="ct", version_id="1", **levels):
        content = build_image_set(
            instances, name=name, datastore_id=DATASTORE, **levels
        )
        healthimaging.put(content, version_id=version_id)
        return content

    return put


@pytest.fixture
def ask():
    """A request for image sets, by content or id."""

    def ask(*wanted, version_id=None):
        ids = [getattr(item, "image_set_id", item) for item in wanted]
        refs = tuple(ImageSetRef(id=i, version_id=version_id) for i in ids)
        return RunRequest(datastore_id=DATASTORE, image_sets=refs)

    return ask


@dataclass
class FakeObjects:
    """S3 in memory; ``fail`` names methods that answer with a server error."""

    held: dict[str, bytes] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    fail: set[str] = field(default_factory=set)

    def _call(self, method, uri):
        if method in self.fail:
            raise UnavailableError(f"could not {method} {uri}: 503")

    def read(self, uri):
        self._call("read", uri)
        return self.held[uri]

    def find(self, uri):
        self._call("find", uri)
        return self.held.get(uri)

    def write(self, uri, body):
        self._call("write", uri)
        self.held[uri] = body
        self.written.append(uri)

    def upload(self, uri, path: Path):
        self._call("upload", uri)
        self.held[uri] = path.read_bytes()
        self.written.append(uri)

    def delete(self, uri):
        self._call("delete", uri)
        self.held.pop(uri, None)

    def names(self, uri):
        self._call("names", uri)
        return [key.removeprefix(uri) for key in self.held if key.startswith(uri)]


@pytest.fixture
def objects():
    return FakeObjects()


@pytest.fixture
def lab(put, ask, make_slice, healthimaging, settings, objects, tmp_path):
    """What a test of a whole fetch needs, in one."""

    def run(request, **options):
        return fetch(
            request, tmp_path, settings=settings, source=healthimaging, **options
        )

    return SimpleNamespace(
        put=put,
        ask=ask,
        make_slice=make_slice,
        healthimaging=healthimaging,
        settings=settings,
        objects=objects,
        datastore=DATASTORE,
        directory=tmp_path,
        fetch=run,
    )


@pytest.fixture
def no_pause(monkeypatch):
    """Retries and polls don't wait."""
    rest = FrameDownloader.rest
    monkeypatch.setattr(FrameDownloader, "rest", lambda self, _: rest(self, 0))
