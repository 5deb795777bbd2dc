"""TCP probes on the DICOM ports leave nothing behind: a million with ``SOAK=100``."""

import subprocess
import sys
import time

import pytest
from faults.storescp import probing
from faults.storescp.peer import Peer
from faults.storescp.progress import amount, tell
from faults.storescp.service import Service, listening_port
from support.certificates import self_signed
from support.instances import eventually
from support.s3_sink import S3Sink

PROBES = amount(100_000, 1_000_000)
GROWTH = 5 << 20
WARM_UP = 5_000


def probe(count, *ports):
    command = [sys.executable, probing.__file__, str(count), *map(str, ports)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


@pytest.mark.timeout(amount(300, 3600))
def test_probes_leave_nothing(tmp_path):
    chain, key = self_signed(tmp_path / "tls")
    with (
        S3Sink() as s3,
        Service(
            tmp_path / "service",
            s3,
            tls_port=listening_port(),
            tls_cert_file=chain,
            tls_key_file=key,
        ) as service,
    ):
        tls_port = int(service.environment["STORESCP_TLS_PORT"])
        ports = service.port, service.port, service.port, tls_port
        with Peer(service.port) as peer:
            assert peer.echo() == 0
            peer.release()
        probe(WARM_UP, *ports)
        threads = service.threads()
        descriptors = service.descriptors()
        said = service.log.stat().st_size
        before = service.rss()
        began = time.monotonic()
        probe(PROBES, *ports)
        took = time.monotonic() - began
        # The last ones may still wait to be accepted.
        with Peer(service.port) as peer:
            assert peer.echo() == 0
            peer.release()
        eventually(lambda: service.threads() <= threads, 10)
        eventually(lambda: service.descriptors() <= descriptors, 10)
        grown = service.rss() - before
        new = service.log.read_text()[said:].splitlines()
        tell(
            f"probes: {PROBES} ({PROBES / took:.0f}/s, a quarter of them on the TLS"
            f" port): resident memory grew by {grown / 1024:.0f} KiB to"
            f" {service.rss() >> 20} MiB, {len(new)} lines in the log"
        )
        assert service.stop() == 0
    assert grown < GROWTH
    assert len(new) < 10, new[:3]
