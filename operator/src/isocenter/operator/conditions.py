"""Conditions as Kubernetes writes them. Pure.

Source: Kubernetes API conventions, "Typical status properties"; the shape is
``metav1.Condition``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from isocenter.operator.reasons import Reason

ConditionStatus = Literal["True", "False", "Unknown"]
MESSAGE_LIMIT = 4_096


class Condition(BaseModel):
    """One aspect of a resource's state, as last observed."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True
    )

    type: str = Field(max_length=316, description="What the condition is about.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: str = Field(max_length=1024, description="One word for the last change.")
    message: str = Field(
        default="", max_length=32_768, description="The same for a person."
    )
    last_transition_time: datetime = Field(
        description="When the status last became what it is."
    )
    observed_generation: int | None = Field(
        default=None, description="metadata.generation that was looked at."
    )


def with_condition(
    conditions: Sequence[Condition],
    *,
    kind: str,
    status: ConditionStatus,
    reason: Reason,
    message: str = "",
    generation: int | None,
    at: datetime,
) -> tuple[Condition, ...]:
    """``conditions`` with the one of type ``kind`` set, in the order they came.

    Its transition time stays unless its status changes.
    """
    before = condition(conditions, kind)
    since = before.last_transition_time if before and before.status == status else at
    new = Condition(
        type=kind,
        status=status,
        # Plain text, as the API server answers it.
        reason=str(reason),
        message=message[:MESSAGE_LIMIT],
        last_transition_time=since,
        observed_generation=generation,
    )
    if before is None:
        return (*conditions, new)
    return tuple(new if c.type == kind else c for c in conditions)


def condition(conditions: Sequence[Condition], kind: str) -> Condition | None:
    """The condition of type ``kind``, if there is one."""
    return next((c for c in conditions if c.type == kind), None)
