"""Who is measured: the Store SCP and its peers, each as a server of its own."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.proxy.processes import BenchError, Server, serving
from tests.support.ports import free_port
from tests.support.s3_sink import S3Sink

AE_TITLE = "BENCH"
WORKERS = 2
OURS = {
    "STORESCP_AE_TITLE": AE_TITLE,
    "STORESCP_ALLOWED_PEERS": '["*"]',
    "STORESCP_LISTEN_ADDRESS": "127.0.0.1",
    "STORESCP_BUCKET": "bench",
    "STORESCP_DATASTORE_ID": "0" * 32,
    "STORESCP_SPOOL_MIN_FREE_BYTES": "0",
    "STORESCP_BATCH_QUIET_S": "1",
    "STORESCP_SHUTDOWN_GRACE_S": "2",
}
"""Settings that all measurements share; what differs is beside each."""
_DCMTK = Path("/usr/bin/storescp")
"""Debian's: pynetdicom has programs of the same names."""
_ORTHANC = Path("/usr/sbin/Orthanc")


@dataclass
class Place:
    """Where contestants keep what they receive.

    Attributes:
        folder: below it, on a real disk.
        short: whether a first look is enough.
    """

    folder: Path
    short: bool
    _count: int = field(default=0)

    def new(self, name: str) -> Path:
        """An empty folder."""
        self._count += 1
        made = self.folder / f"{self._count:03}-{name}"
        made.mkdir(parents=True)
        return made


@dataclass(frozen=True)
class Receiver:
    """A receiver that runs.

    Attributes:
        server: it.
        folder: where it stores.
        pattern: of the files it stores, for ``Path.rglob``.
    """

    server: Server
    folder: Path
    pattern: str

    def stored(self) -> int:
        """Files that it has stored."""
        return sum(1 for found in self.folder.rglob(self.pattern) if found.is_file())


def dcmtk(at: Place, *, max_pdu: int | None = None) -> AbstractContextManager[Receiver]:
    """Dcmtk's storescp: a process for each association, bytes as they came."""
    needs(_DCMTK, "dcmtk")
    folder, port = at.new("dcmtk"), free_port()
    limit = [] if max_pdu is None else ["--max-pdu", str(max_pdu)]
    command = [_DCMTK, "--fork", "+B", "-od", folder, "-aet", AE_TITLE, *limit]
    return _receiving("dcmtk", [*command, str(port)], port, folder, "*.*")


def orthanc(at: Place) -> AbstractContextManager[Receiver]:
    """Orthanc with its defaults: its index is SQLite, its storage files."""
    needs(_ORTHANC, "orthanc")
    folder, port = at.new("orthanc"), free_port()
    configuration = folder / "orthanc.json"
    configuration.write_text(
        json.dumps(
            {
                "StorageDirectory": str(folder / "storage"),
                "IndexDirectory": str(folder / "index"),
                "DicomAet": AE_TITLE,
                "DicomPort": port,
                "DicomAlwaysAllowStore": True,
                "HttpServerEnabled": False,
                "Plugins": [],
            }
        )
    )
    storage = folder / "storage"
    storage.mkdir()
    return _receiving("orthanc", [_ORTHANC, configuration], port, storage, "*-*-*-*")


def pynetdicom(at: Place, processes: int) -> AbstractContextManager[Receiver]:
    """Pynetdicom writing files, nothing more."""
    folder, port = at.new("pynetdicom"), free_port()
    module = ["-m", "bench.storescp.bare_receiver", str(port), folder, str(processes)]
    command = [sys.executable, *module]
    name = f"pynetdicom x {processes}"
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    return _receiving(name, command, port, folder, "*.dcm", environment=environment)


def ours(
    at: Place, environment: Mapping[str, str], **settings: object
) -> AbstractContextManager[Receiver]:
    """The Store SCP.

    Args:
        at: where.
        environment: AWS's own variables.
        settings: by their names without prefix.
    """
    folder, port, health = at.new("ours"), free_port(), free_port()
    return _receiving(
        "ours",
        [Path(sys.executable).with_name("isocenter-storescp")],
        port,
        folder,
        "*.dcm",
        environment={
            **OURS,
            **environment,
            "STORESCP_SCP_PORT": str(port),
            "STORESCP_HEALTH_PORT": str(health),
            "STORESCP_SPOOL_DIR": str(folder),
            **{f"STORESCP_{name.upper()}": str(v) for name, v in settings.items()},
        },
        ready=f"http://127.0.0.1:{health}/readyz",
    )


@contextmanager
def spooling(at: Place, **settings: object) -> Iterator[Receiver]:
    """The Store SCP with nothing uploaded beside: S3 takes an hour for an answer."""
    with S3Sink() as s3:
        s3.faults(latency_s=3600)
        with ours(at, s3.environment(), **settings) as receiver:
            yield receiver


def settle() -> None:
    """Let the disk finish what earlier rounds wrote: each pays for its own."""
    os.sync()
    time.sleep(1)


def needs(program: Path, package: str) -> None:
    """Fail if a program of Debian's is not there."""
    if not program.exists():
        raise BenchError(f"{program} is not there: apt-get install {package}")


@contextmanager
def _receiving(
    name: str,
    command: list[str | Path],
    port: int,
    folder: Path,
    pattern: str,
    *,
    environment: Mapping[str, str] | None = None,
    ready: str = "",
) -> Iterator[Receiver]:
    log = folder.parent / f"{folder.name}-{port}.log"
    with serving(
        name, command, port, log, env=dict(environment or {}), ready=ready
    ) as server:
        settle()
        yield Receiver(server, folder, pattern)
