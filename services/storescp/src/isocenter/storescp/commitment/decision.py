"""What is answered for an instance, from what was found out about it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from isocenter.storescp.commitment.standard import FailureReason


class Finding(StrEnum):
    """What became of an instance, as far as could be found out now.

    ``UNSURE``: S3 could not be asked, or not all of it yet. ``UNSEARCHED``: there is
    more than can be searched, and it was not in what was. ``PENDING``: it is ours, but
    not yet where it is to be. ``SPOILED``: it is there with other bytes, or its import
    failed for good.
    """

    COMMITTED = "committed"
    CONFLICT = "conflict"
    PENDING = "pending"
    SPOILED = "spoiled"
    UNKNOWN = "unknown"
    UNSEARCHED = "unsearched"
    UNSURE = "unsure"


@dataclass(frozen=True)
class Patience:
    """How long an instance is waited for, in seconds since the request.

    Attributes:
        wait_s: one that is ours to reach S3, or to be imported.
        unknown_wait_s: one that nobody knows to turn up: what another receiver has is
            known here only once its batch is sealed.
    """

    wait_s: float
    unknown_wait_s: float


@dataclass(frozen=True)
class Verdict:
    """An instance's answer: committed, or failed for a reason."""

    failure: FailureReason | None = None


_AT_ONCE = {
    Finding.COMMITTED: Verdict(),
    Finding.CONFLICT: Verdict(FailureReason.CLASS_INSTANCE_CONFLICT),
    Finding.SPOILED: Verdict(FailureReason.PROCESSING_FAILURE),
}


def decide(finding: Finding, age_s: float, patience: Patience) -> Verdict | None:
    """The answer for one instance, or None while it is waited for."""
    if finding in _AT_ONCE:
        return _AT_ONCE[finding]
    limit, reason = patience.wait_s, FailureReason.PROCESSING_FAILURE
    if finding in (Finding.UNKNOWN, Finding.UNSEARCHED):
        limit = min(patience.unknown_wait_s, patience.wait_s)
    if finding is Finding.UNKNOWN:
        reason = FailureReason.NO_SUCH_OBJECT_INSTANCE
    return Verdict(reason) if age_s >= limit else None


def next_look_s(age_s: float, longest_s: float = 60.0) -> float:
    """Seconds until an undecided transaction is looked at again: a third of its age.

    Instances reach S3 seconds after they came, so a fresh request is looked at often.
    """
    return min(longest_s, max(1.0, age_s / 3))
