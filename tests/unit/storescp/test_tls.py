"""DICOM over TLS, with pynetdicom's and DCMTK's requestors."""

import io
import ssl
import subprocess

import pydicom
import pytest
from demo.dcmtk import dcmtk
from demo.shell import DemoError
from support.certificates import self_signed


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Paths of a self-signed certificate and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def start_tls(start, pair, helpers):
    def start_one(**changes):
        cert, key = pair
        return start(
            scp_port=None,
            tls_port=helpers.free_port(),
            tls_cert_file=cert,
            tls_key_file=key,
            **changes,
        )

    return start_one


def test_store_over_tls(start_tls, associate, pair, s3, helpers):
    process = start_tls()
    assoc = associate(
        process,
        port=process.settings.tls_port,
        tls_args=(ssl.create_default_context(cafile=pair[0]), "127.0.0.1"),
    )
    dataset = helpers.ct(rows=128)
    assert assoc.send_c_store(dataset).Status == 0x0000
    [key] = helpers.eventually(lambda: s3.keys("DICOM/"))
    stored = helpers.p10_data_set(s3.objects["inbox", key])
    assert stored == helpers.encoded(dataset)


def _installed():
    try:
        return bool(dcmtk("storescu"))
    except DemoError:
        return False


@pytest.mark.skipif(not _installed(), reason="dcmtk is not installed: make packages")
class TestDcmtk:
    """DCMTK's own requestors, an independent implementation of both layers."""

    def _run(self, *command):
        return subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False
        )

    def test_echo_over_tls(self, start_tls, pair):
        process = start_tls()
        done = self._run(
            dcmtk("echoscu"), "+tla", "+cf", str(pair[0]), "-aec", "S3SCP",
            "127.0.0.1", str(process.settings.tls_port),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        ("name", "option"),
        [("sr_basic_text", "-x="), ("mr_jpeg_lossless", "-xs"), ("mr_jpeg_ls", "-xt")],
    )
    def test_store_over_tls(self, start_tls, pair, s3, helpers, name, option):
        process = start_tls()
        file = helpers.data / f"{name}.dcm"
        done = self._run(
            dcmtk("storescu"), "+tla", "+cf", str(pair[0]), option, "-aec", "S3SCP",
            "127.0.0.1", str(process.settings.tls_port), str(file),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        [key] = helpers.eventually(lambda: s3.keys("DICOM/"))
        # DCMTK re-encodes lengths when it sends: the elements are compared.
        assert pydicom.dcmread(io.BytesIO(s3.objects["inbox", key])) == pydicom.dcmread(
            file
        )
