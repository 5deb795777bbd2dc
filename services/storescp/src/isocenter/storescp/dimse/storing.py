"""One C-STORE request, from its command set to its response."""

import logging
import time
from collections.abc import Callable

from isocenter.storescp import metrics
from isocenter.storescp.dimse.command import CommandSet
from isocenter.storescp.dimse.messages import response
from isocenter.storescp.dimse.service import Outcome, Sink
from isocenter.storescp.dimse.telling import Telling
from isocenter.storescp.identify import is_uid
from isocenter.storescp.status import (
    StoreRefusedError,
    StoreStatus,
    refusal,
)

log = logging.getLogger(__name__)


class Storing:
    """Receives one instance; a failure of it never leaves this class.

    Args:
        request: the command set.
        open_sink: begins to receive; called here, may refuse.
        answer: sends an encoded command set.
        fields: of every log record about the request.
        telling: logs that it was refused.
        delay_s: seconds by which the response is held back (a throttle on senders).
    """

    def __init__(
        self,
        request: CommandSet,
        open_sink: Callable[[], Sink],
        answer: Callable[[bytes], None],
        fields: Callable[[], dict[str, object]],
        telling: Telling,
        *,
        delay_s: float = 0.0,
    ) -> None:
        self._request = request
        self._answer = answer
        self._fields = fields
        self._telling = telling
        self._delay_s = delay_s
        self._error: Exception | None = None
        self._sink: Sink | None = None
        self.received = 0
        try:
            if not request.has_data_set:
                raise StoreRefusedError(  # noqa: TRY301 - refused like any other
                    StoreStatus.CANNOT_UNDERSTAND, "the request has no data set"
                )
            self._sink = open_sink()
        except Exception as error:  # noqa: BLE001 - one bad instance must not end the association
            self._error = error

    def write(self, piece: memoryview) -> None:
        """Take the next bytes of the data set."""
        self.received += len(piece)
        if self._sink is None:
            return
        try:
            self._sink.write(piece)
        except Exception as error:  # noqa: BLE001 - as above
            self._error = error
            self._abandon()

    def finish(self, received_at: float) -> None:
        """Make the instance durable and answer; perhaps in another thread.

        Args:
            received_at: ``time.monotonic()`` of the last byte.

        Raises:
            OSError: the answer could not be sent.
        """
        outcome = None
        if self._sink is not None:
            try:
                outcome = self._sink.finish()
            except Exception as error:  # noqa: BLE001 - as above
                self._error = error
        if outcome is None:
            outcome = self._refused()
        else:
            self._kept(outcome, time.monotonic() - received_at)
        metrics.stores(outcome.status).inc()
        if self._delay_s:
            time.sleep(self._delay_s)
        self._answer(
            response(
                self._request,
                outcome.status,
                comment=outcome.comment,
                offending=outcome.offending,
            )
        )

    def broken_off(self) -> None:
        """The association ended before the last byte."""
        self._abandon()

    def _abandon(self) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.abandon()

    def _kept(self, outcome: Outcome, seconds: float) -> None:
        if outcome.status is not StoreStatus.SUCCESS:
            fields = {**self._fields(), **outcome.fields, **_said(outcome)}
            self._telling.refused("instance not stored", fields)
            return
        metrics.STORE_SECONDS.observe(seconds)
        if outcome.bytes:
            metrics.STORED_BYTES.inc(outcome.bytes)
        # One line for each would be the platform's whole log: the association's last
        # line has the sums, and the batch's manifest the instances.
        if log.isEnabledFor(logging.DEBUG):
            fields = {**self._fields(), **outcome.fields}
            log.debug(
                "instance stored" if outcome.bytes else "same instance again",
                extra={**fields, "duration_s": round(seconds, 4)},
            )

    def _refused(self) -> Outcome:
        error = self._error or RuntimeError("a sink without outcome")
        answer = refusal(error)
        outcome = Outcome(answer.status, answer.comment, answer.offending)
        unforeseen = answer.status is StoreStatus.PROCESSING_FAILURE
        self._telling.refused(
            "instance not stored",
            {**self._fields(), **_said(outcome)},
            error if unforeseen else None,
        )
        return outcome


def _said(outcome: Outcome) -> dict[str, object]:
    return {"dicom_status": f"{outcome.status:04X}", "reason": outcome.comment}


def loggable(uid: str) -> str:
    """A UID; what is none may be anything, a patient's name included."""
    return uid if is_uid(uid) else "not a UID"
