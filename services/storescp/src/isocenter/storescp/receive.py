"""From a complete data set in a file to an instance that may be acknowledged."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from isocenter.core.batch import StoredInstance
from isocenter.storescp.batcher import Batcher
from isocenter.storescp.file_meta import HEADER_START, data_set_offset, part10_header
from isocenter.storescp.identify import Identity, identify, is_uid, tag_text
from isocenter.storescp.spool import Spool
from isocenter.storescp.status import StoreRefusedError, StoreStatus


@dataclass(frozen=True)
class StoreCommand:
    """What the C-STORE request says, beside its data set (PS3.7 9.3.1.1)."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str


class Receiver:
    """Checks instances and makes them durable.

    Args:
        spool: where they lie until S3 has them.
        batcher: which batch they join.
        min_free_bytes: space of the volume that is never used for instances.
    """

    def __init__(self, spool: Spool, batcher: Batcher, *, min_free_bytes: int) -> None:
        self._spool = spool
        self._batcher = batcher
        self._min_free_bytes = min_free_bytes

    def keep(self, command: StoreCommand, received: Path) -> StoredInstance | None:
        """Make an instance durable.

        Args:
            command: the request.
            received: a P10 file whose data set is as it came; it stays as it is.

        Returns:
            The instance, or None if the open batch has the same bytes already.
            Either way it may be acknowledged.

        Raises:
            StoreRefusedError: it is not taken, and why.
            OSError: the volume's; nothing is kept.
        """
        if not is_uid(command.sop_instance_uid):
            raise StoreRefusedError(
                StoreStatus.INVALID_SOP_INSTANCE,
                "Affected SOP Instance UID (0000,1000) is not a UID",
                offending=0x00001000,
            )
        size = received.stat().st_size
        if self._spool.free_bytes() - size < self._min_free_bytes:
            raise StoreRefusedError(
                StoreStatus.OUT_OF_RESOURCES, "the spool volume is nearly full"
            )
        with received.open("rb") as file:
            offset = data_set_offset(file.read(HEADER_START))
            file.seek(offset)
            identity = identify(file, command.transfer_syntax_uid)
            _compare(command, identity)
            file.seek(offset)
            part = self._spool.write_part(
                part10_header(
                    sop_class_uid=identity.sop_class_uid,
                    sop_instance_uid=identity.sop_instance_uid,
                    transfer_syntax_uid=command.transfer_syntax_uid,
                    source_ae=command.calling_ae,
                ),
                file,
            )
        received_at = datetime.now(UTC)

        def instance_for(batch: str) -> StoredInstance:
            return StoredInstance(
                key=self._spool.destination.instance_key(
                    batch, identity.sop_instance_uid
                ),
                sop_instance_uid=identity.sop_instance_uid,
                sop_class_uid=identity.sop_class_uid,
                study_instance_uid=identity.study_instance_uid,
                series_instance_uid=identity.series_instance_uid,
                transfer_syntax_uid=command.transfer_syntax_uid,
                bytes=part.size,
                sha256=part.sha256,
                calling_ae=command.calling_ae,
                received_at=received_at,
            )

        return self._batcher.add(part, identity.sop_instance_uid, instance_for)


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
