"""A local S3 in a process of its own, and clients of it."""

import hashlib

import boto3
import pytest
from botocore.config import Config
from support.s3_sink import S3Sink

from isocenter.storescp.upload.connections import Connections
from isocenter.storescp.upload.direct import DirectPut
from isocenter.storescp.upload.routes import Routes
from isocenter.storescp.upload.uploader import Uploader


@pytest.fixture(scope="module")
def connected():
    """A running local S3, and a boto3 client of it."""
    with S3Sink() as sink, pytest.MonkeyPatch.context() as patch:
        for name, value in sink.environment().items():
            patch.setenv(name, value)
        session = boto3.Session()
        client = session.client("s3", config=Config(retries={"max_attempts": 0}))
        yield sink, client, session
        client.close()


@pytest.fixture
def sink(connected):
    """The local S3, empty and well."""
    sink = connected[0]
    sink.clear()
    sink.faults()
    return sink


@pytest.fixture
def client(sink, connected):
    return connected[1]


class Counted(DirectPut):
    """Counts what goes by the direct way."""

    sent = 0

    def put(self, request):
        done = super().put(request)
        self.sent += done
        return done


@pytest.fixture
def direct(client, connected):
    connections = Connections("unused", timeout_s=5, keep=4)
    made = Counted(Routes(client), connected[2].get_credentials(), connections)
    yield made
    made.close()


@pytest.fixture
def uploader(client, direct):
    return Uploader(
        client,
        multipart_bytes=5 * 1024 * 1024,
        direct=direct,
        sleep=lambda _seconds: None,
    )


@pytest.fixture
def file(tmp_path):
    """Makes a file; answers path and SHA-256."""

    def make(content, name="1.2.dcm"):
        path = tmp_path / name
        path.write_bytes(content)
        return path, hashlib.sha256(content).hexdigest()

    return make
