"""HealthImaging as the facade sees it: fakes of its three services in memory."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from isocenter.core.errors import NotFoundError
from isocenter.core.testing.image_sets import InstanceSource, build_image_set
from isocenter.tlm_proxy.access.caller import Caller
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.dicomweb.sources import ImageSetSummary
from isocenter.tlm_proxy.http.app import create_app
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings

REGION = "eu-west-1"
DATASTORE = "d" * 32
ROOT = f"/dicomweb/{REGION}/{DATASTORE}"


class FakeImageSets:
    """SearchImageSets and GetImageSetMetadata."""

    def __init__(self):
        self.contents = {}
        self.calls = Counter()
        self.gate = None

    def add(self, content, *, version="1", primary=True, tagged=True):
        self.contents[content.image_set_id] = (content, version, primary, tagged)

    async def search(self, store, attribute, value, client):
        self.calls["search"] += 1
        if self.gate is not None:
            await self.gate.wait()
        assert attribute == "DICOMStudyInstanceUID"
        return [
            ImageSetSummary(
                content.image_set_id,
                version,
                primary,
                {"DICOMSeriesInstanceUID": next(iter(series))} if tagged else {},
            )
            for content, version, primary, tagged in self.contents.values()
            if study_uid(content) == value
            for series in [content.metadata["Study"]["Series"]]
        ]

    async def metadata(self, store, image_set_id, version, client):
        self.calls["metadata", image_set_id] += 1
        if image_set_id not in self.contents:
            raise NotFoundError("no such image set")
        return self.contents[image_set_id][0].metadata


class FakeDicomWeb:
    """QIDO-RS over a list of rows; filters by the keys in ``filters`` only."""

    def __init__(self):
        self.rows = {}
        self.filters = set()
        self.queries = []
        self.series_metadata = {}

    async def search(self, store, path, query, client):
        self.queries.append((path, list(query)))
        asked = {name: value for name, value in query if name != "includefield"}
        limit, offset = int(asked.pop("limit")), int(asked.pop("offset"))
        assert limit <= 1000
        rows = [
            dict(row)
            for row in self.rows.get(path, [])
            if all(
                tag not in self.filters or value in row.get(tag, {}).get("Value", [])
                for tag, value in asked.items()
            )
        ]
        return rows[offset : offset + limit]

    async def metadata(self, store, path, query, client):
        self.queries.append((path, list(query)))
        image_set_id = dict(query).get("imageSetId")
        found = self.series_metadata.get((path, image_set_id))
        if found is None:
            raise NotFoundError("no such series")
        return [dict(row) for row in found]


class ArrivingBytes:
    def __init__(self, body):
        self.media_type = "image/jphc"
        self.size = len(body)
        self._body = body

    async def pieces(self):
        for at in range(0, len(self._body), 1000):
            yield self._body[at : at + 1000]

    def close(self):
        pass


class FakeUpstream:
    """All of HealthImaging."""

    region = REGION
    regions = (REGION,)

    def __init__(self):
        self.dicomweb = FakeDicomWeb()
        self.image_sets = FakeImageSets()
        self.frames = Counter()

    async def open(self):
        pass

    async def aclose(self):
        pass

    async def prepare(self):
        pass

    def problem(self):
        return None

    async def frame(self, key, client):
        self.frames[key.frame_id] += 1
        content = self.image_sets.contents[key.image_set_id][0]
        return ArrivingBytes(content.frames[key.frame_id])


class FakeAccess:
    """Everybody may read one data store."""

    async def open(self):
        pass

    async def aclose(self):
        pass

    async def prepare(self):
        pass

    def problem(self):
        return None

    def known(self, authorization):
        return Caller("", {}, "", frozenset({DATASTORE}))

    async def check(self, authorization):
        return self.known(None)


def study_uid(content):
    return content.metadata["Study"]["DICOM"]["StudyInstanceUID"]


def series_uids(content):
    return list(content.metadata["Study"]["Series"])


def sop_uids(content, series=0):
    series_uid = series_uids(content)[series]
    return list(content.metadata["Study"]["Series"][series_uid]["Instances"])


@dataclass(frozen=True)
class Names:
    """The UIDs of an image set, and its paths."""

    content: object

    @property
    def image_set(self):
        return self.content.image_set_id

    @property
    def study(self):
        return study_uid(self.content)

    def series(self, number=0):
        return series_uids(self.content)[number]

    def sop(self, number=0, series=0):
        return sop_uids(self.content, series)[number]

    def instance(self, number=0, series=0):
        return (
            f"/studies/{self.study}/series/{self.series(series)}"
            f"/instances/{self.sop(number, series)}"
        )

    def frame_id(self, number=0, series=0, frame=0):
        entry = self.content.metadata["Study"]["Series"][self.series(series)]
        found = entry["Instances"][self.sop(number, series)]["ImageFrames"]
        return found[frame]["ID"]

    def stored(self, number=0, series=0, frame=0):
        return self.content.frames[self.frame_id(number, series, frame)]


@pytest.fixture(scope="session")
def names():
    return Names


@pytest.fixture
def root():
    return ROOT


@pytest.fixture
def upstream():
    return FakeUpstream()


@pytest.fixture
def image_sets(upstream):
    return upstream.image_sets


@pytest.fixture
def context(upstream):
    settings = Settings(auth_mode="none", _env_file=None)
    return ProcessContext(
        settings, Metrics(CollectorRegistry()), upstream, FakeAccess()
    )


@pytest.fixture
def ask(context):
    """Answers to GETs of paths (or of paths with headers), one after the other."""

    async def asked(requests):
        app = httpx.ASGITransport(create_app(context), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=app, base_url="http://proxy") as client:
            answers = []
            for request in requests:
                path, headers = request if isinstance(request, tuple) else (request, {})
                answers.append(await client.get(path, headers=headers))
        await context.aclose()
        return answers

    return lambda *requests: asyncio.run(asked(requests))


@pytest.fixture(scope="session")
def ramp():
    """A signed picture that grows to the right, 96 x 160."""
    return np.tile(np.arange(160, dtype=np.int16) * 10 - 500, (96, 1))


@pytest.fixture(scope="session")
def study(ramp):
    """Two single-frame instances and one of three frames, in two series."""
    htj2k = "1.2.840.10008.1.2.4.202"
    return build_image_set(
        [
            InstanceSource([ramp], syntax=htj2k),
            InstanceSource([ramp + 7], syntax=htj2k, dicom={"RescaleSlope": "1"}),
            InstanceSource([ramp, ramp + 1, ramp + 2], syntax=htj2k, series=2),
        ],
        name="study",
        datastore_id=DATASTORE,
    )
