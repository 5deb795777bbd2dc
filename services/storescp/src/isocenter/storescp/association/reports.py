"""Requests that we send on the peer's association: one at a time (PS3.7 D.3.3.3)."""

import threading
from collections.abc import Callable

from isocenter.core.errors import MalformedError
from isocenter.storescp.dimse.command import CommandSet, Element
from isocenter.storescp.dimse.service import AssociationEndedError

_LAST_ID = 0xFFFF


class Reports:
    """Pairs N-EVENT-REPORT requests with their responses; for any thread."""

    def __init__(self) -> None:
        self._one = threading.Lock()
        self._changed = threading.Condition()
        self._id = 0
        self._waiting: int | None = None
        self._status: int | None = None
        self._ended = False

    @property
    def waiting(self) -> bool:
        """Whether the peer owes an answer."""
        return self._waiting is not None

    def ask(self, send: Callable[[int], None], timeout_s: float) -> int:
        """Send a request by its message id, and wait for the response's status.

        Raises:
            AssociationEndedError: it can't be sent, or is not answered in time.
        """
        with self._one:
            with self._changed:
                if self._ended:
                    raise AssociationEndedError("the association has ended")
                self._id = self._id % _LAST_ID + 1
                self._waiting, self._status = self._id, None
            try:
                send(self._id)
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._ended or self._status is not None, timeout_s
                    )
                    if self._status is None:
                        raise AssociationEndedError("the report was not answered")
                    return self._status
            except OSError as error:
                raise AssociationEndedError("the report could not be sent") from error
            finally:
                self._waiting = None

    def answered(self, response: CommandSet) -> None:
        """A response came; one that nobody waits for any more is ignored.

        Raises:
            MalformedError: it has no status or does not say what it answers.
        """
        message_id = response.required(Element.RESPONDED_TO)
        status = response.required(Element.STATUS)
        with self._changed:
            if message_id == self._waiting:
                self._status = status
                self._changed.notify_all()
            elif not 0 < message_id <= self._id:
                raise MalformedError("a response to a request that was not made")

    def end(self) -> None:
        """The association ended: nothing will be answered."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
