"""``isocenter-storescp`` as a process: from C-STORE to a sealed batch's event."""

import hashlib
import signal
import ssl
import struct
from contextlib import contextmanager

import pydicom
import pytest
from pynetdicom import AE
from support.certificates import self_signed

from isocenter.core.batch import parse_manifest
from isocenter.operator.intake.events import BatchSealed, parse
from isocenter.operator.intake.queue import Queue

CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DATASTORE = "5" * 32


@pytest.fixture(scope="module")
def queue(make_queue):
    with make_queue("storescp") as (url, _):
        yield Queue.connect(url, visibility_s=30, wait_s=1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate's PEM file and its key's."""
    return self_signed(tmp_path_factory.mktemp("tls"), hosts=["localhost"])


@pytest.fixture
def scp(serving, ports, bucket, tmp_path):
    """Runs the Store SCP on one spool, however often; answers its DICOM port."""

    @contextmanager
    def run(*, tls=None, quiet_s="1", **variables):
        port, health = ports(2)
        listen = {"STORESCP_SCP_PORT": str(port)}
        if tls:
            listen = {
                "STORESCP_TLS_PORT": str(port),
                "STORESCP_TLS_CERT_FILE": str(tls[0]),
                "STORESCP_TLS_KEY_FILE": str(tls[1]),
            }
        with serving(
            "isocenter-storescp",
            ready=f"http://127.0.0.1:{health}/readyz",
            STORESCP_LISTEN_ADDRESS="127.0.0.1",
            STORESCP_HEALTH_PORT=str(health),
            STORESCP_BUCKET=bucket,
            STORESCP_DATASTORE_ID=DATASTORE,
            STORESCP_ALLOWED_PEERS='["CT1"]',
            STORESCP_SPOOL_DIR=str(tmp_path / "spool"),
            STORESCP_SPOOL_MIN_FREE_BYTES="0",
            STORESCP_BATCH_QUIET_S=quiet_s,
            **listen,
            **variables,
        ) as process:
            yield process, port

    return run


def send(port, files, tls=None):
    """One association of a modality; answers the status of each instance."""
    ae = AE("CT1")
    ae.add_requested_context(CT_STORAGE, EXPLICIT_LITTLE)
    context = ssl.create_default_context(cafile=tls[0]) if tls else None
    association = ae.associate(
        "127.0.0.1",
        port,
        ae_title="S3SCP",
        tls_args=(context, "localhost") if context else None,
    )
    assert association.is_established
    # A path: pynetdicom then sends the file's bytes, not what pydicom makes of them.
    statuses = [association.send_c_store(file).Status for file in files]
    association.release()
    return statuses


def data_set(part10):
    """The bytes after the File Meta Information (PS3.10 section 7.1)."""
    (length,) = struct.unpack_from("<L", part10, 140)
    return part10[144 + length :]


def uid(file):
    return str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)


@pytest.fixture
def sealed(queue, s3, bucket, wait_for):
    """The manifests of the next batches, by their events, until all are named."""

    def receive(wanted):
        manifests = []

        def event():
            for message in queue.receive():
                seen = parse(message.body, batches_prefix="batches/")
                queue.delete(message)
                if not isinstance(seen, BatchSealed):
                    continue
                stored = s3.get_object(Bucket=bucket, Key=seen.key)["Body"].read()
                manifest = parse_manifest(stored, source=seen.key)
                if manifest.datastore == DATASTORE:
                    assert seen.key == f"batches/{manifest.batch}.json"
                    manifests.append(manifest)
            named = {i.sop_instance_uid for m in manifests for i in m.instances}
            return manifests if wanted <= named else None

        return wait_for(event)

    return receive


@pytest.fixture
def stored_as_sent(s3, bucket):
    """Every instance of a manifest lies in S3 with the data set that was sent."""

    def check(manifests, files):
        by_uid = {i.sop_instance_uid: i for m in manifests for i in m.instances}
        assert sum(len(m.instances) for m in manifests) == len(by_uid) == len(files)
        for file in files:
            instance = by_uid[uid(file)]
            body = s3.get_object(Bucket=bucket, Key=instance.key)["Body"].read()
            assert hashlib.sha256(body).hexdigest() == instance.sha256
            assert len(body) == instance.bytes
            assert data_set(body) == data_set(file.read_bytes())
            assert instance.calling_ae == "CT1"
            assert instance.transfer_syntax_uid == EXPLICIT_LITTLE

    return check


def test_study_over_tls_becomes_a_sealed_batch(
    scp, certificate, ct_files, sealed, stored_as_sent
):
    with scp(tls=certificate) as (_, port):
        assert send(port, ct_files, tls=certificate) == [0x0000] * 28
        # The manifest is last: once its event is there, all it names can be read.
        manifests = sealed({uid(file) for file in ct_files})
        stored_as_sent(manifests, ct_files)
    assert len(manifests) == 1, "one association, sent without a pause, is one batch"


def test_stopping_seals_what_is_open(scp, ct_files, sealed, stored_as_sent):
    files = ct_files[:2]
    with scp(quiet_s="600") as (_, port):
        assert send(port, files) == [0x0000] * 2
    stored_as_sent(sealed({uid(file) for file in files}), files)


def test_nothing_acknowledged_is_lost_while_s3_is_away(
    scp, ports, ct_files, sealed, stored_as_sent, tmp_path
):
    files = ct_files[:5]
    (nobody,) = ports(1)
    with scp(AWS_ENDPOINT_URL=f"http://127.0.0.1:{nobody}") as (process, port):
        assert send(port, files) == [0x0000] * 5
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=20) == -signal.SIGKILL
    with scp():
        stored_as_sent(sealed({uid(file) for file in files}), files)
    left = {p.name for p in (tmp_path / "spool").rglob("*") if p.is_file()}
    left = {name for name in left if not name.endswith(".blank")}
    assert left <= {"lock", "reserve", "index.sqlite", "index.sqlite.lock"}
