"""Brings a report to its peer: by which way, and when to try again.

A report goes by the association that asked, if that is still there a moment after the
response: many peers release it at once and want the report on an association of ours,
others wait for it there. A way that fails is not tried twice.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydicom.dataset import Dataset

from isocenter.storescp import metrics
from isocenter.storescp.commitment.addresses import ReportAddress
from isocenter.storescp.commitment.report import encode, event_type, information
from isocenter.storescp.commitment.report_scu import NotReportedError, Reporter
from isocenter.storescp.commitment.request import Reference
from isocenter.storescp.commitment.standard import SOP_CLASS, SOP_INSTANCE
from isocenter.storescp.commitment.transactions import Transaction
from isocenter.storescp.dimse.service import (
    AssociationEndedError,
    AssociationHandle,
    EventReport,
)

log = logging.getLogger(__name__)

_MOMENT_S = 1.0
_RESPONSE_S = 0.5
_ANSWER_S = 30.0
_FIRST_DELAY_S = 5.0
_LONGEST_DELAY_S = 600.0


@dataclass(eq=False)
class Route:
    """The association that a request came by.

    Attributes:
        answered_at: when its N-ACTION response was sent (monotonic); None before.
    """

    association: AssociationHandle
    context_id: int
    transfer_syntax_uid: str
    answered_at: float | None = None

    def answered(self) -> None:
        """The N-ACTION response was sent."""
        self.answered_at = time.monotonic()


@dataclass(eq=False)
class Delivery:
    """The ways to a transaction's peer, and how often its address was tried."""

    routes: list[Route] = field(default_factory=list)
    attempt: int = 0

    def add(self, route: Route) -> Route:
        """Add a way, unless it is there: asked again and again, it stays one.

        Returns:
            The one that is there now.
        """
        for known in list(self.routes):
            if known.association is route.association:
                return known
        self.routes.append(route)
        return route


class Courier:
    """Brings reports to peers.

    Args:
        reporter: for associations of our own.
        addresses: where application entities listen, by AE title.
        report_s: seconds after the decision for which a report is tried.
        clock: seconds.
    """

    def __init__(
        self,
        reporter: Reporter,
        addresses: Mapping[str, ReportAddress],
        *,
        report_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reporter = reporter
        self._addresses = addresses
        self._report_s = report_s
        self._clock = clock

    def reachable(self, transaction: Transaction, delivery: Delivery) -> bool:
        """Whether there is any way to the peer."""
        for route in list(delivery.routes):  # others add to it meanwhile
            if not route.association.alive:
                delivery.routes.remove(route)
        return bool(delivery.routes) or transaction.calling_ae in self._addresses

    def deliver(
        self, transaction: Transaction, delivery: Delivery, now: datetime
    ) -> float | str:
        """Try to bring a decided transaction's report to its peer.

        Returns:
            Seconds until the next try, or the word for how it ended.
        """
        while self.reachable(transaction, delivery):
            if not delivery.routes:
                return self._send(transaction, delivery, now)
            route = delivery.routes[0]
            wait_s = self._wait_s(route)
            if wait_s > 0:
                return wait_s
            delivery.routes.remove(route)
            if self._send_back(transaction, route):
                return "reported"
        return "unreachable"

    def _wait_s(self, route: Route) -> float:
        if route.answered_at is None:
            return _RESPONSE_S
        return route.answered_at + _MOMENT_S - self._clock()

    def _send_back(self, transaction: Transaction, route: Route) -> bool:
        """Report by the association that asked."""
        report = EventReport(
            context_id=route.context_id,
            sop_class_uid=SOP_CLASS,
            sop_instance_uid=SOP_INSTANCE,
            event_type_id=event_type(transaction.failures),
            information=encode(_information(transaction), route.transfer_syntax_uid),
        )
        try:
            status = route.association.send_event_report(report, _ANSWER_S)
        except AssociationEndedError:
            status = None
        outcome = "delivered" if status == 0 else "failed"
        metrics.COMMITMENT_REPORTS.labels("same_association", outcome).inc()
        return status == 0

    def _send(
        self, transaction: Transaction, delivery: Delivery, now: datetime
    ) -> float | str:
        """Report by an association of our own."""
        try:
            self._reporter.send(
                self._addresses[transaction.calling_ae],
                calling_ae=transaction.called_ae,
                called_ae=transaction.calling_ae,
                event_type=event_type(transaction.failures),
                information=_information(transaction),
            )
        except NotReportedError as error:
            metrics.COMMITMENT_REPORTS.labels("own_association", "failed").inc()
            decided_at = transaction.decided_at or now
            if (now - decided_at).total_seconds() > self._report_s:
                return "given_up"
            delivery.attempt += 1
            delay_s = delay_after(delivery.attempt)
            log.warning(
                "storage commitment report not delivered, next try in %.0f s",
                delay_s,
                extra={
                    "calling_ae": transaction.calling_ae,
                    "transaction_uid": transaction.transaction_uid,
                    "attempt": delivery.attempt,
                    "error": str(error),
                },
            )
            return delay_s
        metrics.COMMITMENT_REPORTS.labels("own_association", "delivered").inc()
        return "reported"


def _information(transaction: Transaction) -> Dataset:
    references = [Reference(*pair) for pair in transaction.references]
    return information(transaction.transaction_uid, references, transaction.failures)


def delay_after(attempt: int) -> float:
    """Seconds to the next try after so many: 5, doubling to 10 minutes."""
    return float(min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** min(attempt - 1, 16)))
