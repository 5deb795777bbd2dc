"""Receivers that the senders of others send to; each lives as long as the module."""

import pytest
from interop.receiver import Receiver, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    receiver = Receiver(tmp_path_factory.mktemp("plain"))
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory, certificates):
    receiver = Receiver(tmp_path_factory.mktemp("tls"), certificates)
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def mutual(tmp_path_factory, certificates):
    receiver = Receiver(tmp_path_factory.mktemp("mutual"), certificates, mutual=True)
    yield receiver
    receiver.close()
