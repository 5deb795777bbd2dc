"""The Storage Commitment SCP: a request is kept, decided, and reported (PS3.4 J.3).

A request is answered by success once it is on the volume. Threads of this service then
look what became of its instances until each is decided, keep the decision, and send
the report: on the association it came by if that is still there, else on one of our
own to the address configured for its AE title. The volume has every step, so a killed
process begins again where it was; a peer may get a report twice.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from isocenter.storescp import metrics
from isocenter.storescp.commitment.agenda import Agenda
from isocenter.storescp.commitment.decision import (
    Finding,
    Patience,
    decide,
    next_look_s,
)
from isocenter.storescp.commitment.delivery import Courier, Delivery, Route
from isocenter.storescp.commitment.manifests import Search
from isocenter.storescp.commitment.request import CommitmentRequest, Reference, parse
from isocenter.storescp.commitment.standard import (
    ActionRefusedError,
    ActionStatus,
    FailureReason,
)
from isocenter.storescp.commitment.transactions import State, Transaction, Transactions
from isocenter.storescp.dimse.service import (
    ActionRequest,
    ActionResponse,
    AssociationHandle,
)

log = logging.getLogger(__name__)

_THREADS = 4
_THREADS_OF_PEER = 2
"""A peer that is away, or slow, must not hold up the reports of others."""
_TURN_S = 0.2
_MOST_REFERENCES = 100_000
_MOST_TRANSACTIONS = 2_000
"""Undecided and unreported, of one process: some 30 MB of memory. One AE title may
have half of each."""
_AFTER_TROUBLE_S = 5.0
_CLEANING = "cleaning"
_CLEAN_EVERY_S = 3600.0


class Looking(Protocol):
    """Finds out what became of instances; ``whereabouts.Whereabouts``."""

    def look(
        self, references: list[Reference], asked_at: datetime, search: Search
    ) -> Mapping[str, Finding]:
        """What is known now, by SOP Instance UID."""

    def close(self) -> None:
        """End its threads."""


@dataclass(frozen=True)
class Terms:
    """How long things are waited for, tried and remembered.

    Attributes:
        patience: for instances.
        remember: how long a Transaction UID is known to be used.
        remember_most: of how many.
    """

    patience: Patience
    remember: timedelta
    remember_most: int = 100_000


class _Open:
    """A transaction that something is left to do for."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self.search = Search()
        self.undecided = {
            instance: Reference(sop_class, instance)
            for sop_class, instance in transaction.references
        }
        self.failures: dict[str, int] = {}
        self.delivery = Delivery()


def _now() -> datetime:
    return datetime.now(UTC)


class CommitmentService:
    """Answers N-ACTION of the Push Model, and reports; safe for many associations.

    Args:
        transactions: on the volume.
        whereabouts: what became of instances.
        courier: brings reports to peers.
        terms: of waiting.
        inherited: folders of workers that are no more; their transactions are ours.
        now: UTC.
        agenda: what is to be done when.
    """

    def __init__(
        self,
        transactions: Transactions,
        whereabouts: Looking,
        courier: Courier,
        terms: Terms,
        *,
        inherited: Sequence[Path] = (),
        now: Callable[[], datetime] = _now,
        agenda: Agenda | None = None,
    ) -> None:
        self._transactions = transactions
        self._whereabouts = whereabouts
        self._courier = courier
        self._terms = terms
        self._inherited = inherited
        self._now = now
        self._agenda = agenda or Agenda()
        self._open: dict[str, _Open] = {}
        self._busy: Counter[str] = Counter()
        self._stopping = False
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, name=f"commitment-{n}", daemon=True)
            for n in range(_THREADS)
        ]

    def start(self) -> None:
        """Take up what is on the volume, then begin.

        Raises:
            OSError: the volume's.
        """
        self._transactions.prepare()
        for folder in self._inherited:
            self._transactions.adopt(folder)
        for transaction in self._transactions.unfinished():
            self._open[transaction.id] = _Open(transaction)
            self._agenda.put(transaction.id)
        self._agenda.put(_CLEANING)
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the threads; what is left to do stays on the volume."""
        self._stopping = True
        self._agenda.close()
        self._whereabouts.close()
        each_s = timeout_s / len(self._threads)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(each_s)

    def alive(self) -> bool:
        """Whether every thread is running."""
        return all(thread.is_alive() for thread in self._threads)

    def waiting(self) -> int:
        """Transactions that are not reported yet."""
        return len(self._open)

    def action(
        self, request: ActionRequest, association: AssociationHandle
    ) -> ActionResponse:
        """Keep a request; see ``dimse.service.ActionService``."""
        fields: dict[str, object] = {
            "calling_ae": request.peer.calling_ae,
            "peer": request.peer.address,
        }
        try:
            asked = parse(request)
            fields |= {
                "transaction_uid": asked.transaction_uid,
                "instances": len(asked.references),
            }
            route = Route(association, request.context_id, request.transfer_syntax_uid)
            opened, route = self._accept(asked, request, route)
        except ActionRefusedError as error:
            return _refused(error.status, str(error), fields)
        except OSError as error:
            fields["error"] = str(error)
            status = ActionStatus.PROCESSING_FAILURE
            return _refused(status, "the request could not be kept", fields)
        metrics.COMMITMENT_REQUESTS.labels(f"{ActionStatus.SUCCESS:04X}").inc()
        log.info("storage commitment asked", extra=fields)

        def answered() -> None:
            route.answered()
            self._agenda.put(opened.transaction.id)

        return ActionResponse(ActionStatus.SUCCESS, after=answered)

    def _accept(
        self, asked: CommitmentRequest, request: ActionRequest, route: Route
    ) -> tuple[_Open, Route]:
        """Make a request durable; answers the route that its report goes by.

        Raises:
            ActionRefusedError: there are too many.
            OSError: the volume's.
        """
        transaction = Transaction.asked(
            asked.transaction_uid,
            asked.references,
            calling_ae=request.peer.calling_ae,
            called_ae=request.peer.called_ae,
            now=self._now(),
        )
        with self._lock:
            self._make_sure_of_room(len(asked.references), transaction.calling_ae)
            if transaction.id not in self._open:
                if self._transactions.uses_other_instances(transaction):
                    transaction = _all_failed(transaction, self._now())
                self._transactions.keep(transaction)
            opened = self._open.setdefault(transaction.id, _Open(transaction))
            route = opened.delivery.add(route)
        # Not only once the response was sent: it may never be.
        self._agenda.put(opened.transaction.id)
        return opened, route

    def _make_sure_of_room(self, references: int, calling_ae: str) -> None:
        everybody = [opened.transaction for opened in self._open.values()]
        peer = [one for one in everybody if one.calling_ae == calling_ae]
        for known, share in ((everybody, 1), (peer, 2)):
            if (
                len(known) >= _MOST_TRANSACTIONS // share
                or sum(len(one.references) for one in known) + references
                > _MOST_REFERENCES // share
            ):
                raise ActionRefusedError(
                    ActionStatus.RESOURCE_LIMITATION, "too many requests are undecided"
                )

    def _run(self) -> None:
        while (name := self._agenda.take()) is not None:
            try:
                delay_s = self._do(name)
            except Exception as error:  # a thread that dies would stop all reports
                expected = isinstance(error, OSError)
                log.warning(
                    "storage commitment: trying again in %.0f s",
                    _AFTER_TROUBLE_S,
                    exc_info=None if expected else error,
                    extra={"error": str(error)},
                )
                delay_s = _AFTER_TROUBLE_S
            finally:
                self._agenda.done(name)
            if delay_s is not None:
                self._agenda.put(name, delay_s)

    def _do(self, name: str) -> float | None:
        """Do what is due; answers the seconds until more is, None if nothing is."""
        if name == _CLEANING:
            terms = self._terms
            self._transactions.forget(self._now(), terms.remember, terms.remember_most)
            return _CLEAN_EVERY_S
        opened = self._open.get(name)
        if opened is None:
            return None
        peer = opened.transaction.calling_ae
        with self._lock:
            if self._busy[peer] >= _THREADS_OF_PEER:
                return _TURN_S + len(self._open) / 500
            self._busy[peer] += 1
        try:
            return self.step(opened)
        finally:
            with self._lock:
                self._busy[peer] -= 1
                if not self._busy[peer]:
                    del self._busy[peer]

    def step(self, opened: _Open) -> float | None:
        """Bring one transaction forward as far as it goes now.

        Returns:
            Seconds until it should be looked at again, None once it has ended.

        Raises:
            OSError: the volume's; nothing is lost by trying again.
        """
        if opened.transaction.state is State.ASKED:
            if not self._courier.reachable(opened.transaction, opened.delivery):
                return self._end(opened, "unreachable")
            delay_s = self._look(opened)
            if delay_s is not None:
                return delay_s
        result = self._courier.deliver(opened.transaction, opened.delivery, self._now())
        return result if isinstance(result, float) else self._end(opened, result)

    def _look(self, opened: _Open) -> float | None:
        transaction, now = opened.transaction, self._now()
        age_s = (now - transaction.received_at).total_seconds()
        findings = self._whereabouts.look(
            list(opened.undecided.values()), transaction.received_at, opened.search
        )
        if self._stopping:  # the index may have been closed: it then knows nothing
            return _AFTER_TROUBLE_S
        for uid, finding in findings.items():
            verdict = decide(finding, age_s, self._terms.patience)
            if verdict is None:
                continue
            del opened.undecided[uid]
            if verdict.failure is not None:
                opened.failures[uid] = verdict.failure
        if opened.undecided:
            soon = opened.search.goes_on  # the rest of what was not searched yet
            return _TURN_S if soon else next_look_s(age_s)
        decided = transaction.decided(opened.failures, now)
        self._transactions.keep(decided)
        opened.transaction = decided
        _count(decided)
        return None

    def _end(self, opened: _Open, outcome: str) -> float | None:
        transaction = opened.transaction
        with self._lock:
            if any(route.association.alive for route in opened.delivery.routes):
                return 0.0  # asked again meanwhile: that request wants a report too
            self._transactions.keep(transaction.ended(outcome))
            self._open.pop(transaction.id, None)
        log.log(
            logging.INFO if outcome == "reported" else logging.WARNING,
            "storage commitment %s",
            _SAID[outcome],
            extra={
                "calling_ae": transaction.calling_ae,
                "transaction_uid": transaction.transaction_uid,
                "outcome": outcome,
            },
        )
        return None


_SAID = {
    "reported": "reported",
    "given_up": "report given up: the peer did not take it in commitment_report_s",
    "unreachable": "report has no way to the peer: its association is closed, and"
    " commitment_peers has no address of it",
}


def _all_failed(transaction: Transaction, now: datetime) -> Transaction:
    """The answer to a Transaction UID that was used before (PS3.3 C.14.1.1, 0131H)."""
    duplicate = transaction.model_copy(update={"again": True})
    reason = FailureReason.DUPLICATE_TRANSACTION_UID
    decided = duplicate.decided({uid: reason for _, uid in duplicate.references}, now)
    _count(decided)
    return decided


def _count(decided: Transaction) -> None:
    failed = len(decided.failures)
    committed = len(decided.references) - failed
    metrics.COMMITMENT_INSTANCES.labels("committed").inc(committed)
    for reason in decided.failures.values():
        metrics.COMMITMENT_INSTANCES.labels(f"{reason:04X}").inc()
    log.log(
        logging.WARNING if failed else logging.INFO,
        "storage commitment decided",
        extra={
            "calling_ae": decided.calling_ae,
            "transaction_uid": decided.transaction_uid,
            "committed": committed,
            "failed": failed,
        },
    )


def _refused(
    status: ActionStatus, comment: str, fields: Mapping[str, object]
) -> ActionResponse:
    metrics.COMMITMENT_REQUESTS.labels(f"{status:04X}").inc()
    log.warning(
        "storage commitment refused",
        extra={**fields, "dicom_status": f"{status:04X}", "reason": comment},
    )
    return ActionResponse(status, comment)
