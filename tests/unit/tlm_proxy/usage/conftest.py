"""Runs in a bucket that is a dictionary."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from isocenter.core.dataset import (
    ArrayFile,
    DatasetManifest,
    FrameRecord,
    ImageSetEntry,
    Omission,
    OmissionReason,
)
from isocenter.core.run_request import ImageSetRef
from isocenter.tlm_proxy.usage.run_layout import DATASET

START = datetime(2026, 11, 1, tzinfo=UTC)


def image_set(number):
    return f"{number:032d}"


def entry(image_set_id):
    frame = FrameRecord(
        frame_id="f" * 32, sop_instance_uid="1.2.3", frame_number=1, crc32=7
    )
    array = ArrayFile(
        path=f"{image_set_id}/1.npy",
        bytes=1,
        sha256="0" * 64,
        shape=(1, 1, 1),
        dtype="int16",
        axes="zyx",
        uniform=True,
        frames=(frame,),
    )
    return ImageSetEntry(
        image_set_id=image_set_id,
        version_id="1",
        study_instance_uid="1.2",
        series_instance_uids=("1.2.1",),
        patient_key="a" * 32,
        split="train",
        arrays=(array,),
    )


@pytest.fixture
def manifest():
    """A manifest as the fetcher writes it."""

    def make(used, omitted=(), datastore="d" * 32):
        return DatasetManifest(
            datastore_id=datastore,
            requested=tuple(ImageSetRef(id=found) for found in (*used, *omitted)),
            image_sets=tuple(entry(found) for found in used),
            omissions=tuple(
                Omission(
                    image_set_id=found,
                    reason=OmissionReason.ACCESS_DENIED,
                    message="no",
                )
                for found in omitted
            ),
            digest="0" * 64,
        ).to_json()

    return make


class FakeObjects:
    """S3 below the prefix of runs; counts what is asked."""

    def __init__(self, manifest):
        self._manifest = manifest
        self.stored = {}
        self.listings = 0
        self.reads = []
        self.failure = None
        self.read_failures = {}
        self.gate = None
        self._lock = threading.Lock()

    def run(self, name, used, *, execution="e1", hours=0, model=False, omitted=()):
        folder = f"ns/{name}/attempt-1/{execution}"
        key = f"{folder}/dataset/manifest.json"
        body = self._manifest(used, omitted)
        self.stored[key] = (body, START + timedelta(hours=hours))
        if model:
            self.stored[f"{folder}/model/job/output/model.tar.gz"] = (b"", START)
        return key

    def put(self, key, document):
        self.stored[key] = (json.dumps(document).encode(), START)

    def names(self):
        self.listings += 1
        if self.gate is not None:
            assert self.gate.wait(5)
        if self.failure is not None:
            raise self.failure
        seen = set()
        for key in list(self.stored):
            head, found, _ = key.partition(DATASET)
            name = head + found
            if name not in seen:
                seen.add(name)
                yield name

    def find(self, name, parse):
        with self._lock:
            self.reads.append(name)
        if name in self.read_failures:
            raise self.read_failures[name]
        found = self.stored.get(name)
        return None if found is None else (parse(found[0]), found[1])

    def uri(self, name):
        return f"s3://a-bucket/runs/{name}"


@pytest.fixture
def objects(manifest):
    return FakeObjects(manifest)
