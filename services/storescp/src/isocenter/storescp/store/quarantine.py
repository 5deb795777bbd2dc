"""Where bytes are kept that can't be stored, until they are in S3's quarantine.

::

    <worker>/quarantine/<reason>/<sha256>.dcm     a P10 file; its data set as it came
    <worker>/quarantine/<reason>/<sha256>.json    why, from whom, when; written first

Names are made of the file's hash and our own words only: nothing that a peer says is
part of a path. The same bytes for the same reason are one file. The record carries no
patient attribute.
"""

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from isocenter.storescp import metrics
from isocenter.storescp.quarantine.entry import ACKNOWLEDGED
from isocenter.storescp.store import durable
from isocenter.storescp.store.usage import Usage

log = logging.getLogger(__name__)

_REASON = re.compile(r"[a-z]+(-[a-z]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DCM, _JSON = ".dcm", ".json"


class LocalQuarantine:
    """One worker's quarantine folder; safe for threads.

    Args:
        root: the folder; made when it is first needed.
        usage: of the volume by this worker.

    Attributes:
        added: called with reason and hash of each file that is there to be put to S3.
        max_bytes: what senders who were refused may fill; beyond it their bytes are
            dropped, as they were told. None: no limit.
    """

    def __init__(self, root: Path, usage: Usage) -> None:
        self.root = root
        self.added: Callable[[str, str], None] = lambda *_: None
        self.max_bytes: int | None = None
        self._usage = usage
        self._bytes = 0
        self._told_full = False
        self._made: set[str] = set()
        # Reasons whose folders are there, durably.
        self._lock = threading.Lock()

    def keep(
        self, part: Path, sha256: str, reason: str, record: Mapping[str, object]
    ) -> bool:
        """Move a file here.

        Args:
            part: a file of the same volume; moved.
            sha256: of it, hexadecimal.
            reason: lower-case words with hyphens.
            record: what ``<sha256>.json`` says, beside reason, hash, size and time.

        Returns:
            False if there is no room: ``part`` is where it was.

        Raises:
            OSError: the volume's; ``part`` may still be where it was.
        """
        if not _REASON.fullmatch(reason) or not _SHA256.fullmatch(sha256):
            raise ValueError(f"no name for quarantine: {reason}/{sha256}")
        size = part.stat().st_size
        if self._is_full(reason, size):
            metrics.QUARANTINED.labels(reason, "dropped").inc()
            if not self._told_full:
                self._told_full = True
                log.warning(
                    "refused instances are not kept: the quarantine is full",
                    extra={"reason": reason, "bytes": size},
                )
            return False
        folder = self.root / reason
        if reason not in self._made:
            folder.mkdir(parents=True, exist_ok=True)
            durable.sync_folder(self.root)
            durable.sync_folder(self.root.parent)
            self._made.add(reason)
        content = _document(reason, sha256, size, record)
        file, described = self.files(reason, sha256)
        with self._lock:  # two associations may bring the same bytes at once
            durable.write(described, content)
            if file.exists():
                self._usage.add(-size)
            else:
                self._bytes += size
            part.rename(file)
            durable.sync_folder(folder)
        self._told_full = False
        metrics.QUARANTINED.labels(reason, "kept").inc()
        self.added(reason, sha256)
        return True

    def _is_full(self, reason: str, size: int) -> bool:
        """What was acknowledged is kept whatever there is."""
        return (
            self.max_bytes is not None
            and reason not in ACKNOWLEDGED
            and self._bytes + size > self.max_bytes
        )

    def waiting(self) -> Iterator[tuple[str, str]]:
        """Reason and hash of every file here."""
        for reason in _names(self.root):
            for name in _names(self.root / reason):
                if name.endswith(_DCM):
                    yield reason, name.removesuffix(_DCM)

    def files(self, reason: str, sha256: str) -> tuple[Path, Path]:
        """The file and its record."""
        folder = self.root / reason
        return folder / (sha256 + _DCM), folder / (sha256 + _JSON)

    def new_record(self, reason: str, sha256: str) -> bytes:
        """A record for a file whose own the volume lost: what is known without it."""
        file, _ = self.files(reason, sha256)
        return _document(reason, sha256, file.stat().st_size, {})

    def remove(self, reason: str, sha256: str) -> None:
        """S3 has both: give the space back.

        The file goes first: a record without one is removed at the next start.
        """
        file, record = self.files(reason, sha256)
        try:
            size = file.stat().st_size
            file.unlink()
            self._usage.add(-size)
            with self._lock:
                self._bytes -= size
        except FileNotFoundError:
            pass
        record.unlink(missing_ok=True)

    def tidy(self) -> int:
        """At the start: remove records without a file; answers how many files wait."""
        waiting = 0
        for reason in _names(self.root):
            for name in _names(self.root / reason):
                file, _ = self.files(reason, name.rpartition(".")[0])
                if name.endswith(_DCM):
                    size = file.stat().st_size
                    self._usage.add(size)
                    self._bytes += size
                    waiting += 1
                elif name.endswith(".part") or not file.exists():
                    (self.root / reason / name).unlink(missing_ok=True)
        return waiting


def _document(
    reason: str, sha256: str, size: int, record: Mapping[str, object]
) -> bytes:
    document: dict[str, object] = {
        "schema": 1,
        "reason": reason,
        "sha256": sha256,
        "bytes": size,
        "quarantinedAt": datetime.now(UTC).isoformat(),
    }
    return json.dumps(document | dict(record), indent=1).encode()


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
