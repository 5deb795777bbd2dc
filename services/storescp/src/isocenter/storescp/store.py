"""The C-STORE handler: pynetdicom's event in, a response out."""

import logging
import time
from typing import Any

from pydicom.dataset import Dataset

from isocenter.storescp import metrics
from isocenter.storescp.identify import is_uid
from isocenter.storescp.receive import Receiver, StoreCommand
from isocenter.storescp.status import (
    Refusal,
    StoreRefusedError,
    StoreStatus,
    refusal,
)

log = logging.getLogger(__name__)


class StoreHandler:
    """Answers C-STORE requests; safe for many associations at once."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def __call__(self, event: Any) -> Dataset:
        """Handle ``evt.EVT_C_STORE``.

        Args:
            event: pynetdicom's; its data set is in the file ``dataset_path``, which
                pynetdicom removes afterwards.

        Returns:
            The response's Status, with Error Comment and Offending Element if the
            instance is not taken.
        """
        started = time.monotonic()
        command = _command(event)
        fields: dict[str, object] = {
            "calling_ae": command.calling_ae,
            "peer": event.assoc.requestor.address,
            "assoc_id": event.assoc.native_id,
            "sop_class_uid": _loggable(command.sop_class_uid),
            "sop_instance_uid": _loggable(command.sop_instance_uid),
            "transfer_syntax_uid": command.transfer_syntax_uid,
        }
        try:
            if event.dataset_path is None:
                raise StoreRefusedError(  # noqa: TRY301 - refused like any other
                    StoreStatus.CANNOT_UNDERSTAND, "the request has no data set"
                )
            instance = self._receiver.keep(command, event.dataset_path)
        except Exception as error:  # noqa: BLE001 - one bad instance must not end the association
            return _refused(error, fields)
        fields["duration_s"] = round(time.monotonic() - started, 4)
        if instance is not None:
            fields |= {"key": instance.key, "bytes": instance.bytes}
            metrics.STORED_BYTES.inc(instance.bytes)
            metrics.STORE_SECONDS.observe(time.monotonic() - started)
        log.info("instance stored" if instance else "same instance again", extra=fields)
        return _response(Refusal(StoreStatus.SUCCESS, ""))


def _loggable(uid: str) -> str:
    """A UID; what is none may be anything, a patient's name included."""
    return uid if is_uid(uid) else "not a UID"


def _command(event: Any) -> StoreCommand:
    request = event.request
    return StoreCommand(
        sop_class_uid=str(request.AffectedSOPClassUID),
        sop_instance_uid=str(request.AffectedSOPInstanceUID),
        transfer_syntax_uid=str(event.context.transfer_syntax),
        calling_ae=str(event.assoc.requestor.ae_title).strip(),
    )


def _refused(error: Exception, fields: dict[str, object]) -> Dataset:
    answer = refusal(error)
    unforeseen = answer.status is StoreStatus.PROCESSING_FAILURE
    log.warning(
        "instance not stored",
        exc_info=error if unforeseen else None,
        extra=fields
        | {"dicom_status": f"{answer.status:04X}", "reason": answer.comment},
    )
    return _response(answer)


def _response(answer: Refusal) -> Dataset:
    metrics.STORES.labels(f"{answer.status:04X}").inc()
    response = Dataset()
    response.Status = int(answer.status)
    if answer.comment:
        response.ErrorComment = answer.comment
    if answer.offending is not None:
        response.OffendingElement = [answer.offending]
    return response
