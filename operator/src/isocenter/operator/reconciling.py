"""What every reconciler answers to the controller. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Protocol

from pydantic import ValidationError

from isocenter.core.validation import faults
from isocenter.operator.reasons import Reason


class Next(Enum):
    """When a resource is looked at again, besides when it changes."""

    SETTLED = "settled"
    POLL = "poll"
    BACK_OFF = "back off"


@dataclass(frozen=True)
class Result:
    """One look's outcome.

    Attributes:
        patch: merge patch of the status, empty when nothing changed.
        phase: the phase after the patch, None for kinds without one.
    """

    patch: dict[str, Any]
    after: Next
    phase: str | None = None


class Reconciler(Protocol):
    """Brings one kind's resources nearer to what they ask for."""

    def reconcile(self, body: Mapping[str, Any], at: datetime) -> Result:
        """Look at one resource as the API server holds it, and act. Blocking."""


def now() -> datetime:
    """UTC in whole seconds, as Kubernetes writes times."""
    return datetime.now(UTC).replace(microsecond=0)


def invalid_spec(
    body: Mapping[str, Any], kind: str, error: ValidationError, at: datetime
) -> Result:
    """The answer to a resource that does not parse, as a condition of type ``kind``.

    The schema of the definition keeps such a resource out; it can be there when
    the definition is of another version than the operator.
    """
    conditions = (body.get("status") or {}).get("conditions", [])
    others = [c for c in conditions if c.get("type") != kind]
    before: Mapping[str, Any] = next(
        (c for c in conditions if c.get("type") == kind), {}
    )
    generation = (body.get("metadata") or {}).get("generation", 1)
    if (before.get("reason"), before.get("observedGeneration")) == (
        Reason.INVALID_SPEC,
        generation,
    ):
        return Result({}, Next.SETTLED)
    new = {
        "type": kind,
        "status": "False",
        "reason": Reason.INVALID_SPEC.value,
        "message": f"not understood by this version of the operator: {faults(error)}",
        "lastTransitionTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "observedGeneration": generation,
    }
    return Result({"conditions": [*others, new]}, Next.SETTLED)
