"""A Store SCP in this process with an S3 in memory, and instances to send."""

import base64
import hashlib
import io
import tempfile
import threading
from pathlib import Path

import pydicom.config
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pydicom import config as pydicom_config
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, _config
from pynetdicom.dsutils import encode
from support.instances import ct, eventually
from support.ports import free_port
from support.requestors import close_sockets_of_requestors

from isocenter.storescp.ports import open_ports
from isocenter.storescp.process import Process, Seat
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.upload.uploader import Uploader
from isocenter.storescp.workers.board import LoneBoard

DATASTORE = "0123456789abcdef0123456789abcdef"


class FakeS3:
    """Objects in memory; checks SHA-256 like S3, and can be away."""

    def __init__(self):
        self.objects = {}
        self.puts = []
        self.in_parts = []
        self.away = False
        self.fail_next = []
        self._lock = threading.Lock()

    def _answer(self, key):
        if self.away:
            raise EndpointConnectionError(endpoint_url="https://s3.invalid")
        with self._lock:
            if self.fail_next:
                raise self.fail_next.pop(0)
            self.puts.append(key)

    def put_object(self, **request):
        body, key = request["Body"], request["Key"]
        content = body if isinstance(body, bytes) else body.read()
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert digest == request["ChecksumSHA256"]
        self._answer(key)
        self.objects[request["Bucket"], key] = content

    def upload_fileobj(self, file, bucket, key, **request):
        assert request["ExtraArgs"]["ChecksumAlgorithm"] == "SHA256"
        self.in_parts.append(key)
        self._answer(key)
        self.objects[bucket, key] = file.read()

    def head_object(self, **request):
        if (request["Bucket"], request["Key"]) not in self.objects:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")

    def list_objects_v2(self, **request):
        found = self.keys(request["Prefix"])
        return {"Contents": [{"Key": key} for key in found], "IsTruncated": False}

    def get_object(self, **request):
        content = self.objects[request["Bucket"], request["Key"]]
        return {"Body": io.BytesIO(content)}

    def keys(self, prefix=""):
        return sorted(key for _, key in self.objects if key.startswith(prefix))


@pytest.fixture
def s3():
    return FakeS3()


@pytest.fixture(autouse=True)
def _libraries_restored(monkeypatch):
    """The process sets library switches; other tests must not see them."""
    for name in (
        "STORE_RECV_CHUNKED_DATASET",
        "UNRESTRICTED_STORAGE_SERVICE",
        "LOG_HANDLER_LEVEL",
    ):
        monkeypatch.setattr(_config, name, getattr(_config, name))
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)
    settings = pydicom_config.settings
    before = settings.reading_validation_mode, settings.writing_validation_mode
    # What tests send is wrong on purpose now and then.
    settings.reading_validation_mode = pydicom.config.IGNORE
    settings.writing_validation_mode = pydicom.config.IGNORE
    yield
    settings.reading_validation_mode, settings.writing_validation_mode = before


@pytest.fixture(autouse=True)
def _requestors_close_their_sockets(monkeypatch):
    close_sockets_of_requestors(monkeypatch)


@pytest.fixture
def make_settings(tmp_path):
    def make(**changes):
        values = {
            "scp_port": free_port(),
            "listen_address": "127.0.0.1",
            "allowed_peers": [{"aeTitle": "*"}],
            "called_ae_titles": ["*"],
            "bucket": "inbox",
            "datastore_id": DATASTORE,
            "spool_dir": tmp_path / "spool",
            "spool_min_free_bytes": 0,
            "batch_quiet_s": 60.0,
            "network_timeout": 10.0,
            "shutdown_grace_s": 3.0,
        }
        return StoreScpSettings(**(values | changes))

    return make


def build(settings, s3):
    """A Store SCP that is alone, and puts by ``s3``."""
    seat = Seat(number=0, board=LoneBoard(), listen=lambda: open_ports(settings))
    uploader = Uploader(s3, multipart_bytes=settings.multipart_bytes)
    return Process.build(settings, s3, uploader, seat)


@pytest.fixture
def start(make_settings, s3):
    """Starts Store SCPs and stops them at the end."""
    started = []

    def start_one(**changes):
        process = build(make_settings(**changes), s3)
        started.append(process)
        process.start()
        return process

    yield start_one
    for process in started:
        if not process.stopping.is_set():
            process.stop()


def encoded(dataset, syntax=ExplicitVRLittleEndian):
    """The bytes that a C-STORE of ``dataset`` carries."""
    return encode(dataset, syntax.is_implicit_VR, syntax.is_little_endian)


def p10_data_set(content):
    """The data set's bytes of a P10 file, read independently of the product."""
    file = io.BytesIO(content)
    read_preamble(file, force=False)
    _read_file_meta_info(file)
    return file.read()


@pytest.fixture
def associate():
    """Associations that are released at the end."""
    opened = []

    def associate_to(process, *, contexts=((CTImageStorage, None),), port=None, **more):
        ae = AE("SCU")
        ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = 10
        for abstract, transfer in contexts:
            ae.add_requested_context(abstract, transfer or ExplicitVRLittleEndian)
        assoc = ae.associate("127.0.0.1", port or process.settings.scp_port, **more)
        opened.append(assoc)
        return assoc

    yield associate_to
    for assoc in opened:
        if assoc.is_established:
            assoc.release()


@pytest.fixture
def helpers():
    """The functions of this file, for tests (which can't import it)."""

    class Helpers:
        ct = staticmethod(ct)
        encoded = staticmethod(encoded)
        p10_data_set = staticmethod(p10_data_set)
        build = staticmethod(build)
        eventually = staticmethod(eventually)
        free_port = staticmethod(free_port)
        datastore = DATASTORE
        data = Path(__file__).parents[2] / "data" / "small"

    return Helpers
