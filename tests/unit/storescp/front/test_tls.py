"""TLS at the door: versions, ciphers, certificates old and new."""

import logging
import os
import socket
import ssl
import threading

import pytest
from support.dimse_sender import CT, EXPLICIT, associate_rq
from support.instances import eventually

from isocenter.core.errors import ConfigurationError
from isocenter.storescp.front.limits import Limits
from isocenter.storescp.front.tls import Certificates, server_context


def client_context(pair, *, with_certificate=None):
    context = ssl.create_default_context(cafile=pair[0])
    if with_certificate is not None:
        context.load_cert_chain(*with_certificate)
    return context


@pytest.fixture
def open_tls(open_door, pair):
    def open_one(ca=None, **more):
        return open_door(certificates=Certificates(*pair, ca), **more)

    return open_one


def test_an_association_over_tls(open_tls, pair):
    opened = open_tls()
    with opened.sender(tls=client_context(pair)) as sender:
        sender.associate()
        ((sock, negotiated),) = eventually(lambda: opened.served)
        assert isinstance(sock, ssl.SSLSocket)
        assert negotiated.peer.tls_subject is None
        sender.send(b"data")
        assert sock.recv(10) == b"data"


CHANGES = [
    ({"maximum_version": ssl.TLSVersion.TLSv1_2}, True),
    ({"minimum_version": ssl.TLSVersion.TLSv1_3}, True),
    ({"maximum_version": ssl.TLSVersion.TLSv1_2, "ciphers": "AES128-SHA"}, False),
]


@pytest.mark.parametrize(("change", "accepted"), CHANGES)
def test_versions_and_ciphers(open_tls, pair, change, accepted):
    opened = open_tls()
    context = client_context(pair)
    change = dict(change)
    if ciphers := change.pop("ciphers", None):
        context.set_ciphers(ciphers)
    for name, value in change.items():
        setattr(context, name, value)
    if accepted:
        with opened.sender(tls=context) as sender:
            sender.associate()
        return
    with (
        socket.create_connection(("127.0.0.1", opened.port)) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_tls_1_1_is_refused(pair):
    assert server_context(*pair, None).minimum_version == ssl.TLSVersion.TLSv1_2


NO_TLS = {
    "DICOM": associate_rq([(CT, EXPLICIT)]),
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": bytes(64),
    "a broken hello": b"\x16\x03\x01\0\x05\x01\0\0\x01\0",
}


@pytest.mark.parametrize("content", NO_TLS.values(), ids=NO_TLS)
def test_a_peer_without_tls_is_turned_away(open_tls, caplog, content):
    opened = open_tls()
    with opened.sender(timeout=5) as sender:
        sender.send(content)
        # Whatever alert OpenSSL sends, the connection ends.
        while sender.sock.recv(100):
            pass
    (record,) = eventually(lambda: caplog.records)
    assert record.message == "association tls_failed"
    assert record.reason == "tls_failed"
    assert "no TLS" in record.error


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_an_unfinished_handshake_stops_nobody_and_is_given_up(open_tls, pair, begun):
    opened = open_tls(limits=Limits(artim_s=0.6))
    threads = threading.active_count()
    with opened.sender(timeout=5) as idle:
        idle.send(begun)
        with opened.sender(tls=client_context(pair)) as sender:
            sender.associate()
        assert threading.active_count() <= threads + 1
        assert idle.read_pdu() == b""


def test_probes_leave_nothing(open_tls, caplog, pair):
    opened = open_tls()
    for _ in range(100):
        socket.create_connection(("127.0.0.1", opened.port)).close()
    # Load balancers can also probe by a handshake.
    opened.sender(tls=client_context(pair)).sock.close()
    eventually(lambda: opened.door.pending() == 0)
    assert not caplog.records


def test_mutual_tls_and_the_certificates_subject(open_tls, pair, caplog):
    allowed = [{"aeTitle": "CT1", "certificateSubject": "CN=scp,O=St. Mary"}]
    opened = open_tls(ca=pair[0], allowed=allowed)
    known = client_context(pair, with_certificate=pair)
    with opened.sender(tls=known) as sender:
        sender.associate(calling="CT1")
        ((_, negotiated),) = eventually(lambda: opened.served)
        assert negotiated.peer.tls_subject == "CN=scp,O=St. Mary"
    assert not caplog.records
    with opened.sender(tls=client_context(pair)) as sender, pytest.raises(OSError):
        sender.associate(calling="CT1")
    (record,) = eventually(lambda: caplog.records)
    assert record.message == "association tls_failed"


def test_another_certificate_of_the_same_authority_is_another_peer(open_tls, pair):
    allowed = [{"aeTitle": "CT1", "certificateSubject": "CN=ct1"}]
    opened = open_tls(ca=pair[0], allowed=allowed)
    with opened.sender(tls=client_context(pair, with_certificate=pair)) as sender:
        sender.send(associate_rq([(CT, EXPLICIT)], calling="CT1"))
        assert sender.read_pdu()[7:10] == bytes([1, 1, 3])


def test_unusable_files_are_named(tmp_path, pair):
    (tmp_path / "bad.key").write_text("no key")
    with pytest.raises(ConfigurationError, match="STORESCP_TLS_KEY_FILE"):
        Certificates(pair[0], tmp_path / "bad.key", None)
    with pytest.raises(ConfigurationError, match="STORESCP_TLS_CA_FILE"):
        Certificates(*pair, tmp_path / "missing")


@pytest.fixture
def secret(tmp_path, pair_in):
    """A mounted Secret, as kubelet lays it out: files lead through ``..data``."""
    first, second = tmp_path / "..1", tmp_path / "..2"
    pair_in(first, "old")
    pair_in(second, "new")
    (tmp_path / "..data").symlink_to(first.name)
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")

    def turn():
        (tmp_path / "..tmp").symlink_to(second.name)
        (tmp_path / "..tmp").replace(tmp_path / "..data")

    return tmp_path, turn


def test_a_new_certificate_is_used_without_a_restart(open_door, secret, monkeypatch):
    monkeypatch.setattr("isocenter.storescp.front.door._RELOAD_S", 0.0)
    folder, turn = secret
    certificates = Certificates(folder / "tls.crt", folder / "tls.key", None)
    opened = open_door(certificates=certificates)
    old, new = (client_context([folder / name / "tls.crt"]) for name in ("..1", "..2"))
    with opened.sender(tls=old) as running:
        running.associate()
        before = certificates.context
        turn()
        eventually(lambda: certificates.context is not before)
        with pytest.raises(ssl.SSLCertVerificationError):
            opened.sender(tls=old)
        with opened.sender(tls=new) as sender:
            sender.associate()
        # What was established stays.
        ((sock, _), *_) = opened.served
        running.send(b"data")
        assert sock.recv(10) == b"data"


def test_half_of_a_new_pair_changes_nothing(tmp_path, pair_in, caplog):
    cert, key = pair_in(tmp_path, "old")
    new_cert, new_key = pair_in(tmp_path / "new", "new")
    certificates = Certificates(cert, key, None)
    context = certificates.context
    with caplog.at_level(logging.INFO):
        assert not certificates.refresh()
        os.replace(new_cert, cert)  # noqa: PTH105 - what is tested is the rename
        assert not certificates.refresh()
        assert not certificates.refresh()
        assert certificates.context is context
        os.replace(new_key, key)  # noqa: PTH105 - as above
        assert certificates.refresh()
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    assert certificates.context is not context


def test_files_that_vanish_change_nothing(tmp_path, pair_in):
    cert, key = pair_in(tmp_path)
    certificates = Certificates(cert, key, None)
    cert.unlink()
    assert not certificates.refresh()
