"""The loop over the queue: a message is deleted when its work is durable.

Killed anywhere in between, the message comes again, and its work is found done.
What can't be read is left: after the queue's maxReceiveCount, SQS moves it to the
dead-letter queue, where a person finds it.
"""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from isocenter.core.errors import IsocenterError, MalformedError
from isocenter.operator.intake import metrics
from isocenter.operator.intake.events import parse
from isocenter.operator.intake.queue import Message
from isocenter.operator.intake.reactions import Later, Reactor, TriggerList
from isocenter.operator.resources import TrainingTrigger

log = logging.getLogger(__name__)

_FIRST_BACKOFF_S = 10
_RECEIVE_BACKOFF_S = 5.0


class Source(Protocol):
    """Where messages come from; see ``queue.Queue``."""

    def receive(self) -> list[Message]:
        """Wait for messages."""

    def delete(self, message: Message) -> None:
        """Acknowledge one."""

    def postpone(self, message: Message, seconds: int) -> None:
        """Put one back."""


class Reacting(Reactor, Protocol):
    """A reactor that also knows the triggers."""

    def triggers(self) -> list[TrainingTrigger]:
        """Every trigger of the namespace."""


class Flushing(Protocol):
    """Counts that are written now and then; see ``tally.Tally``."""

    def flush(self) -> None:
        """Write them."""


class Consumer:
    """Receives messages until told to stop."""

    def __init__(
        self,
        source: Source,
        reactions: Reacting,
        tally: Flushing,
        *,
        batches_prefix: str,
        max_backoff_s: int,
    ) -> None:
        self._source = source
        self._reactions = reactions
        self._tally = tally
        self._batches_prefix = batches_prefix
        self._max_backoff_s = max_backoff_s
        self.last_beat = time.monotonic()
        self.problem: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Receive and handle until ``stop`` is set; no failure ends the loop."""
        while not stop.is_set():
            self.last_beat = time.monotonic()
            try:
                self.once()
                self.problem = None
            except IsocenterError as error:
                self.problem = str(error)
                log.warning("receiving failed", extra={"error": self.problem})
                stop.wait(_RECEIVE_BACKOFF_S)
            except Exception:
                self.problem = "an unexpected failure; see the log"
                log.exception("receiving failed")
                stop.wait(_RECEIVE_BACKOFF_S)

    def once(self) -> None:
        """One ReceiveMessage and what it brought."""
        triggers: list[Sequence[TrainingTrigger]] = []

        def listed() -> Sequence[TrainingTrigger]:
            """Listed once for the messages that came together."""
            if not triggers:
                triggers.append(self._reactions.triggers())
            return triggers[0]

        for message in self._source.receive():
            self.last_beat = time.monotonic()
            with metrics.HANDLE_SECONDS.time():
                outcome = self._settle(message, listed)
            metrics.MESSAGES.labels(outcome).inc()
        self._tally.flush()

    def _settle(self, message: Message, triggers: TriggerList) -> str:
        """Handle one message; whatever becomes of it, those beside it go on."""
        about = {"event_id": message.message_id}
        try:
            return self._handle(message, triggers)
        except IsocenterError as error:
            about["error"] = str(error)
            log.warning("neither deleted nor put back: it comes again", extra=about)
            return "unsettled"
        except Exception:
            log.exception("left for the dead-letter queue: a failure", extra=about)
            return "left"

    def _handle(self, message: Message, triggers: TriggerList) -> str:
        about = {"event_id": message.message_id}
        try:
            event = parse(message.body, batches_prefix=self._batches_prefix)
            if event is None:
                log.debug("a message concerns nobody", extra=about)
                self._source.delete(message)
                return "ignored"
            self._reactions.react(event, triggers)
        except Later as later:
            log.info("put back: %s", later, extra=about)
            self._source.postpone(message, self._backoff_s(message))
            return "postponed"
        except IsocenterError as error:
            about["error"] = str(error)
            if error.retryable:
                log.warning("put back after a failure", extra=about)
                self._source.postpone(message, self._backoff_s(message))
                return "postponed"
            word = "malformed" if isinstance(error, MalformedError) else "refused"
            log.warning("left for the dead-letter queue: %s", word, extra=about)
            return "left"
        self._source.delete(message)
        return "done"

    def _backoff_s(self, message: Message) -> int:
        doublings = min(max(message.receives - 1, 0), 16)
        return int(min(_FIRST_BACKOFF_S * 2**doublings, self._max_backoff_s))
