"""One instance being received: hashed and written as it comes, decided at its end."""

import contextlib
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

from isocenter.storescp.association.negotiation import Peer
from isocenter.storescp.dimse.service import Outcome, StoreCommand
from isocenter.storescp.file_meta import part10_header
from isocenter.storescp.identify import (
    Identity,
    identify,
    identify_start,
    is_uid,
    tag_text,
)
from isocenter.storescp.quarantine.entry import Reason
from isocenter.storescp.status import StoreRefusedError, StoreStatus
from isocenter.storescp.store.keeper import Keeper, Received
from isocenter.storescp.store.spool import Spool
from isocenter.storescp.store.watermark import Watermark

_STEP_BYTES = 64 * 1024 * 1024
"""A large instance is synced, and room looked for, each time so much of it came."""
_AE_LENGTH = 16
_START_BYTES = 4096
"""Of the data set, held until its end: in nearly all of them it has the UIDs."""


class SpoolSink:
    """A file in ``incoming``; see ``dimse.service.Sink``.

    Memory is a few hundred bytes, whatever the instance's size.

    Args:
        spool: where it is received.
        keeper: makes it durable.
        watermark: asked again and again while a large one comes.
        command: the request.
        peer: who sends it.

    Raises:
        OSError: the volume's.
    """

    __slots__ = (
        "_before",
        "_command",
        "_file",
        "_hash",
        "_header",
        "_header_bytes",
        "_keeper",
        "_next_step",
        "_path",
        "_peer",
        "_size",
        "_spool",
        "_start",
        "_used",
        "_watermark",
    )

    def __init__(
        self,
        spool: Spool,
        keeper: Keeper,
        watermark: Watermark,
        command: StoreCommand,
        peer: Peer,
    ) -> None:
        self._spool = spool
        self._keeper = keeper
        self._watermark = watermark
        self._command = command
        self._peer = peer
        header = part10_header(
            sop_class_uid=_uid(command.sop_class_uid),
            sop_instance_uid=_uid(command.sop_instance_uid),
            transfer_syntax_uid=_uid(command.transfer_syntax_uid),
        )
        self._size = self._header_bytes = len(header)
        self._next_step = _STEP_BYTES
        self._used = 0
        self._start = b""
        self._hash = hashlib.sha256(header)
        self._header = header
        self._file, self._path, self._before = spool.parts.take()

    def write(self, piece: memoryview) -> None:
        """Take the data set's next bytes.

        Raises:
            StoreRefusedError: the volume became full.
            OSError: the volume's.
        """
        self._hash.update(piece)
        parts = (self._header, piece) if self._header else (piece,)
        self._header = b""
        self._start = self._start or bytes(piece[:_START_BYTES])
        written = os.writev(self._file, parts)
        for part in parts:
            if written < len(part):
                _write(self._file, memoryview(part)[written:])
            written = max(0, written - len(part))
        self._size += len(piece)
        if self._size >= self._next_step:
            self._next_step += _STEP_BYTES
            os.fdatasync(self._file)
            self._count()
            self._watermark.check()

    def finish(self) -> Outcome:
        """Make it durable, unless its bytes are known.

        Raises:
            StoreRefusedError: it is not kept, and why; it may be in quarantine.
            OSError: the volume's.
        """
        used, sound = 0, True
        try:
            if self._size < self._before:
                os.ftruncate(self._file, self._size)
            self._count()
            sha256 = self._hash.hexdigest()
            try:
                identity = self._identity()
            except StoreRefusedError as error:
                used = self._quarantined(sha256, error)
                raise
            kept = self._keeper.keep(
                self._instance(sha256, identity),
                self._path,
                lambda: os.fdatasync(self._file),
            )
            if kept.moved:
                used = self._size
        except OSError:
            sound = False
            raise
        finally:
            self._end(used, again=sound)
        return Outcome(
            StoreStatus.SUCCESS,
            bytes=0 if kept.duplicate else self._size,
            fields={"key": kept.key, "bytes": self._size},
        )

    def abandon(self) -> None:
        """Drop what came."""
        self._end(0)

    def _end(self, used: int, *, again: bool = False) -> None:
        """Close the file.

        Args:
            used: of its bytes, that were moved; else it is removed.
            again: whether the volume took it well enough to write it over.
        """
        if self._file < 0:
            return
        with contextlib.suppress(OSError):  # its content was synced, or is dropped
            os.close(self._file)
        self._file = -1
        if not used:  # else it was moved
            size = max(self._size, self._before)
            with contextlib.suppress(OSError):  # removed as a stale file later
                if again:
                    self._spool.parts.give_back(self._path, size)
                else:
                    os.unlink(self._path)  # noqa: PTH108 - parts are paths as text
        if used != self._used:
            self._spool.usage.add(used - self._used)

    def _count(self) -> None:
        self._spool.usage.add(self._size - self._used)
        self._used = self._size

    def _identity(self) -> Identity:
        """What the data set is; it must be what the command says it is.

        Raises:
            StoreRefusedError: PS3.4 B.2.3 tells the status.
        """
        command = self._command
        if not is_uid(command.sop_instance_uid):
            raise StoreRefusedError(
                StoreStatus.INVALID_SOP_INSTANCE,
                "Affected SOP Instance UID (0000,1000) is not a UID",
                offending=0x00001000,
            )
        if self._size == self._header_bytes:
            raise StoreRefusedError(
                StoreStatus.CANNOT_UNDERSTAND, "the request has no data set"
            )
        identity = self._identified()
        _compare(command, identity)
        return identity

    def _identified(self) -> Identity:
        syntax = self._command.transfer_syntax_uid
        found = identify_start(self._start, syntax)
        if found is not None:
            return found
        with os.fdopen(self._file, "rb", closefd=False) as file:
            file.seek(self._header_bytes)
            return identify(file, syntax)

    def _instance(self, sha256: str, identity: Identity) -> Received:
        return Received(
            sop_instance_uid=identity.sop_instance_uid,
            sop_class_uid=identity.sop_class_uid,
            study_instance_uid=identity.study_instance_uid,
            series_instance_uid=identity.series_instance_uid,
            transfer_syntax_uid=self._command.transfer_syntax_uid,
            bytes=self._size,
            sha256=sha256,
            calling_ae=_ae(self._command.calling_ae),
            received_at=datetime.now(UTC),
        )

    def _quarantined(self, sha256: str, error: StoreRefusedError) -> int:
        """Keep the bytes that can't be stored; answers how many.

        Raises:
            OSError: the volume's.
        """
        if self._size == self._header_bytes:
            return 0
        command, peer = self._command, self._peer
        os.fdatasync(self._file)
        kept = self._spool.quarantine.keep(
            Path(self._path),
            sha256,
            _REASONS.get(error.status, Reason.NOT_UNDERSTOOD),
            {
                "receivedAt": datetime.now(UTC).isoformat(),
                "status": f"{error.status:04X}",
                "comment": str(error),
                "peer": peer.address,
                "callingAE": _ae(command.calling_ae),
                "calledAE": _ae(peer.called_ae),
                # Empty if it is none: then it could be anything, a name included.
                "sopClassUid": _uid(command.sop_class_uid),
                "sopInstanceUid": _uid(command.sop_instance_uid),
                "transferSyntaxUid": _uid(command.transfer_syntax_uid),
            },
        )
        return self._size if kept else 0


_REASONS = {
    StoreStatus.INVALID_SOP_INSTANCE: Reason.BAD_UID,
    StoreStatus.DATA_SET_MISMATCH: Reason.MISMATCH,
}


def _uid(text: str) -> str:
    """A UID; what is none may be anything."""
    return text if is_uid(text) else ""


def _ae(title: str) -> str:
    """An AE title in ASCII, 16 characters at most (PS3.5 6.2)."""
    return title.encode("ascii", "replace").decode()[:_AE_LENGTH]


def _compare(command: StoreCommand, identity: Identity) -> None:
    """The data set must be what the command says (PS3.4 B.2.3, status A9xx)."""
    for name, tag, said, found in (
        ("SOP Class", 0x00080016, command.sop_class_uid, identity.sop_class_uid),
        (
            "SOP Instance",
            0x00080018,
            command.sop_instance_uid,
            identity.sop_instance_uid,
        ),
    ):
        if said != found:
            raise StoreRefusedError(
                StoreStatus.DATA_SET_MISMATCH,
                f"{name} UID {tag_text(tag)} differs from the command's",
                offending=tag,
            )


def _write(file: int, content: memoryview) -> None:
    """Write all of it: one call may take less than was offered."""
    while content:
        content = content[os.write(file, content) :]
