"""The sender of `helm test`, against a Store SCP in this process."""

import json
import subprocess
from datetime import UTC, datetime

import pytest

from isocenter.storescp import selftest

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def key_pairs(tmp_path_factory):
    """Folders with tls.crt and tls.key: the server's, and another one's."""

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-nodes", "-days", "2"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                *("-subj", f"/CN={name}", "-keyout", "tls.key", "-out", "tls.crt"),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        return folder

    return make("server"), make("other")


@pytest.fixture
def scp(start, key_pairs, helpers):
    def start_one(**changes):
        server, _ = key_pairs
        return start(
            scp_port=None,
            tls_port=helpers.free_port(),
            tls_cert_file=server / "tls.crt",
            tls_key_file=server / "tls.key",
            **changes,
        )

    return start_one


@pytest.fixture
def arguments(key_pairs):
    def of(process, **changes):
        given = {
            "host": "127.0.0.1",
            "port": process.settings.tls_port,
            "called-ae": "S3SCP",
            "trust": key_pairs[0] / "tls.crt",
            "instances": 2,
        } | changes
        return [f"--{name}={value}" for name, value in given.items()]

    return of


def test_what_it_says_is_what_arrived(scp, arguments, s3, helpers, tmp_path, capsys):
    output = tmp_path / "sent.json"
    assert selftest.main(arguments(scp(), output=output)) == 0
    helpers.eventually(lambda: len(s3.keys("DICOM/")) == 2)
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("TLSv1.3")
    assert "2 of 2 instances acknowledged" in said[2]
    document = json.loads(output.read_text())
    assert document["said"] == said[1:]
    assert document["studyInstanceUid"] in said[3]
    assert "it stays" in said[3]


def test_a_wrong_title_is_no_obstacle_to_this_scp_and_port_is(
    scp, arguments, helpers, capsys
):
    process = scp()
    nobody = helpers.free_port()
    assert selftest.main(arguments(process, port=nobody)) == 1
    assert f"no TLS connection to 127.0.0.1:{nobody}" in capsys.readouterr().out


def test_another_certificate_is_not_trusted(scp, arguments, key_pairs, capsys):
    assert selftest.main(arguments(scp(), trust=key_pairs[1] / "tls.crt")) == 1
    assert "certificate verify failed" in capsys.readouterr().out


@pytest.mark.parametrize(("shown", "code"), [(None, 1), (0, 0), (1, 1)])
def test_a_server_that_asks_for_a_certificate(scp, arguments, key_pairs, shown, code):
    process = scp(tls_ca_file=key_pairs[0] / "tls.crt")
    more = {} if shown is None else {"client-tls": key_pairs[shown]}
    assert selftest.main(arguments(process, **more)) == code


def test_a_refused_instance_is_a_failure(scp, arguments, capsys):
    assert selftest.main(arguments(scp(spool_min_free_bytes=1 << 60))) == 1
    assert "C-STORE of instance 1: status 0xA700" in capsys.readouterr().out


def test_a_missing_file_is_named(scp, arguments, tmp_path, capsys):
    assert selftest.main(arguments(scp(), trust=tmp_path / "none")) == 2
    assert "a certificate can't be used" in capsys.readouterr().out


def test_phantoms_are_new_and_complete():
    first, second = (list(selftest.phantom(3, NOW)) for _ in range(2))
    uids = [d.SOPInstanceUID for d in first + second]
    assert len(set(uids)) == 6
    assert len({d.StudyInstanceUID for d in first}) == 1
    assert first[0].StudyInstanceUID != second[0].StudyInstanceUID
    for dataset in first:
        assert dataset.PatientName == selftest.PATIENT_NAME
        assert len(dataset.PixelData) == selftest.SIDE**2 * 2
    assert first[0].PixelData != first[2].PixelData
