"""Reading from S3, of a client that is a dictionary."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.usage import objects
from isocenter.tlm_proxy.usage.objects import READERS, RunObjects

WRITTEN = datetime(2026, 11, 1, tzinfo=UTC)


class Client:
    def __init__(self, body):
        self.body = body

    def get_object(self, Bucket, Key):  # noqa: N803 - boto3's names
        return {
            "Body": io.BytesIO(self.body),
            "ContentLength": len(self.body),
            "LastModified": WRITTEN,
        }


@pytest.mark.parametrize(("length", "at_once"), [(10, READERS), (11, 1)])
def test_long_manifests_are_in_memory_one_at_a_time(monkeypatch, length, at_once):
    monkeypatch.setattr(objects, "LONG", 10)
    runs = RunObjects(Client(b"x" * length), "s3://a-bucket/runs")
    together = threading.Barrier(at_once)
    count, most, lock = 0, 0, threading.Lock()

    def parse(body):
        nonlocal count, most
        with lock:
            count += 1
            most = max(most, count)
        together.wait(5)
        with lock:
            count -= 1
        return len(body)

    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(lambda _: runs.find("m", parse), range(READERS)))
    assert found == [(length, WRITTEN)] * READERS
    assert most == at_once


def test_a_manifest_over_the_bound_is_not_read(monkeypatch):
    monkeypatch.setattr(objects, "MAX_BYTES", 10)
    runs = RunObjects(Client(b"x" * 11), "s3://a-bucket/runs")
    with pytest.raises(MalformedError, match=r"runs/m is over 10 bytes"):
        runs.find("m", len)
