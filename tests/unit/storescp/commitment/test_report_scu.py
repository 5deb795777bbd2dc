"""Reports to pynetdicom as the modality: it accepts us in the SCP role, or does not."""

import ssl

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification
from support.certificates import self_signed
from support.ports import free_port

from isocenter.core.errors import ConfigurationError
from isocenter.storescp.commitment.addresses import ReportAddress
from isocenter.storescp.commitment.report import information
from isocenter.storescp.commitment.report_scu import (
    AssociatingReporter,
    NotReportedError,
    client_context,
)
from isocenter.storescp.commitment.request import Reference

REPORT = information("1.9", [Reference("1.2", "1.2.1")], {"1.2.1": 0x0112})


@pytest.fixture
def modality():
    """Start a modality that takes reports; answers its port and what it got."""
    servers = []

    def start(
        *, status=0x0000, sop_class=StorageCommitmentPushModel, title="CT1", tls=None
    ):
        got = []

        def reported(event):
            requestor = event.assoc.requestor
            got.append(
                {
                    "calling": requestor.ae_title,
                    "type": event.request.EventTypeID,
                    "instance": event.request.AffectedSOPInstanceUID,
                    "information": event.event_information,
                    "roles": {
                        item.sop_class_uid: (item.scu_role, item.scp_role)
                        for item in requestor.role_selection.values()
                    },
                }
            )
            return status, None

        entity = AE(title)
        entity.require_called_aet = True
        entity.add_supported_context(sop_class, scu_role=True, scp_role=True)
        port = free_port()
        server = entity.start_server(
            ("127.0.0.1", port),
            block=False,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, reported)],
            ssl_context=tls,
        )
        servers.append(server)
        return ReportAddress("127.0.0.1", port, tls=tls is not None), got

    yield start
    for server in servers:
        server.shutdown()


def send(address, authorities=None, pair=(None, None)):
    AssociatingReporter(lambda: client_context(*pair, authorities)).send(
        address,
        calling_ae="STORE",
        called_ae="CT1",
        event_type=2,
        information=REPORT,
    )


def test_a_modality_gets_the_report_from_whom_it_asked(modality):
    address, got = modality()
    send(address)
    (report,) = got
    assert report["calling"] == "STORE"
    assert report["type"] == 2
    assert report["instance"] == "1.2.840.10008.1.20.1.1"
    assert report["information"] == REPORT
    assert report["roles"] == {StorageCommitmentPushModel: (False, True)}


@pytest.mark.parametrize(
    ("modality_is", "said"),
    [
        ({"status": 0x0110}, "0110"),
        ({"sop_class": Verification}, "no association"),
        ({"title": "OTHER"}, "no association"),
    ],
)
def test_what_is_not_taken_is_said(modality, modality_is, said):
    address, _ = modality(**modality_is)
    with pytest.raises(NotReportedError, match=said):
        send(address)


# pynetdicom leaves a socket that never connected to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_there_is_said():
    with pytest.raises(NotReportedError, match="no association"):
        send(ReportAddress("127.0.0.1", free_port(), tls=False))


def test_a_certificate_that_is_none_is_said_by_its_setting(tmp_path):
    file = tmp_path / "ca.crt"
    file.write_text("none")
    with pytest.raises(ConfigurationError, match="COMMITMENT_PEERS"):
        client_context(None, None, file)


def test_tls_is_1_2_or_later_and_names_are_checked():
    context = client_context(None, None, None)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def pair_for(folder, address):
    """A certificate for an address, and its key."""
    return self_signed(folder / address, address, hosts=[address])


def server_of(pair, clients):
    """TLS that wants a client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.load_verify_locations(clients)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_a_modality_with_tls_sees_our_certificate(modality, tmp_path):
    theirs, ours = pair_for(tmp_path, "127.0.0.1"), pair_for(tmp_path, "192.0.2.1")
    address, got = modality(tls=server_of(theirs, ours[0]))
    send(address, theirs[0], ours)
    assert len(got) == 1


# pynetdicom leaves a socket that never connected to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("named", ["127.0.0.1", "192.0.2.2"])
def test_a_certificate_of_another_host_or_authority_gets_no_report(
    modality, tmp_path, named
):
    theirs, ours = pair_for(tmp_path, named), pair_for(tmp_path, "192.0.2.1")
    address, got = modality(tls=server_of(theirs, ours[0]))
    trusted = theirs[0] if named != "127.0.0.1" else ours[0]
    with pytest.raises(NotReportedError, match="no association"):
        send(address, trusted, ours)
    assert not got
