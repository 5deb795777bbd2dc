"""Reconciles TrainingTriggers: says whether one is active. Pure.

Intake does what a trigger asks for, and counts it in the same status.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from isocenter.operator import reasons
from isocenter.operator.conditions import with_condition
from isocenter.operator.reasons import Reason
from isocenter.operator.reconciling import Next, Result, invalid_spec
from isocenter.operator.resources import TrainingTrigger, merge_patch

ACTIVE = reasons.ACTIVE.type


class TrainingTriggers:
    """The reconciler of TrainingTriggers."""

    def reconcile(self, body: Mapping[str, Any], at: datetime) -> Result:
        """Set the Active condition."""
        try:
            trigger = TrainingTrigger.model_validate(body)
        except ValidationError as error:
            return invalid_spec(body, ACTIVE, error, at)
        suspended = trigger.spec.suspend
        generation = trigger.metadata.generation
        conditions = with_condition(
            trigger.status.conditions,
            kind=ACTIVE,
            status="False" if suspended else "True",
            reason=Reason.SUSPENDED if suspended else Reason.WATCHING,
            message=(
                "no runs are made while spec.suspend is true"
                if suspended
                else "image sets that match start TrainingRuns"
            ),
            generation=generation,
            at=at,
        )
        status = trigger.status.model_copy(
            update={"conditions": conditions, "observed_generation": generation}
        )
        return Result(merge_patch(trigger.status, status), Next.SETTLED)
