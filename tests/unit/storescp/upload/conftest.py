"""A local S3 in a process of its own, and clients of it."""

import hashlib

import boto3
import pytest
from botocore.config import Config
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode
from support.instances import ct, eventually
from support.s3_sink import S3Sink

from isocenter.core.batch import parse_manifest
from isocenter.storescp.association.negotiation import Peer
from isocenter.storescp.dimse.service import StoreCommand
from isocenter.storescp.reception import Reception
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.store import backlog
from isocenter.storescp.upload.connections import Connections
from isocenter.storescp.upload.direct import DirectPut
from isocenter.storescp.upload.drain import Drain
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


PEER = Peer("10.0.0.7", 4711, "CT1", "S3SCP", None)


@pytest.fixture
def short_delays(monkeypatch):
    monkeypatch.setattr(backlog, "FIRST_DELAY_S", 0.02)
    monkeypatch.setattr(backlog, "LONGEST_DELAY_S", 0.05)
    monkeypatch.setattr("isocenter.storescp.upload.gate._FIRST_S", 0.02)
    monkeypatch.setattr("isocenter.storescp.upload.gate._LONGEST_S", 0.1)


class Station:
    """Reception and drain of one worker."""

    def __init__(self, settings, uploader):
        self.reception = Reception.build(settings, uploader, 0)
        self.spool = self.reception.spool
        self.batcher = self.reception.batcher
        self.work = self.reception.backlog
        self.drain = Drain(
            self.spool,
            self.batcher,
            self.work,
            uploader,
            threads=2,
            quarantine_bucket=settings.bucket,
            quarantine_prefix=settings.quarantine_prefix,
        )
        self.reception.start()
        self._running = False

    def run(self):
        self.drain.start()
        self._running = True

    def send(self, dataset=None, *, said=None, content=None):
        """One C-STORE; answers the data set."""
        dataset = dataset or ct()
        command = StoreCommand(
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=said or str(dataset.SOPInstanceUID),
            transfer_syntax_uid=ExplicitVRLittleEndian,
            calling_ae="CT1",
        )
        sink = self.reception.receiver.open(command, PEER)
        sink.write(memoryview(content or encode(dataset, False, True)))
        sink.finish()
        return dataset

    def stop(self):
        if self._running:
            self.drain.stop(0.3)
        else:
            self.work.close()
        self.spool.release()
        self.reception.index.close()


@pytest.fixture
def make(uploader, tmp_path, short_delays):
    """Makes stations on one volume, one after the other."""
    made = []

    def station(*, run=True, **changes):
        for earlier in made:
            earlier.stop()
        values = {
            "bucket": "inbox",
            "datastore_id": "0123456789abcdef0123456789abcdef",
            "scp_port": 11112,
            "spool_dir": tmp_path / "spool",
            "spool_min_free_bytes": 0,
            "batch_quiet_s": 60.0,
        }
        made[:] = [Station(StoreScpSettings(**(values | changes)), uploader)]
        if run:
            made[0].run()
        return made[0]

    yield station
    for each in made:
        each.stop()


@pytest.fixture
def keys(sink):
    """Keys in S3, below a prefix."""
    return lambda prefix="": sorted(
        name.removeprefix("inbox/")
        for name in sink.objects()
        if name.startswith(f"inbox/{prefix}")
    )


@pytest.fixture
def sealed(sink, keys):
    """Waits for the one manifest; answers it."""

    def wait():
        [key] = eventually(lambda: keys("batches/"))
        return parse_manifest(sink.get(f"inbox/{key}"), source=key)

    return wait
