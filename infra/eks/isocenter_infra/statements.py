"""The shape of what a role may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Conditions = Mapping[str, Mapping[str, tuple[str, ...]]]


class Principal(StrEnum):
    """Who takes a role."""

    PODS = "pods.eks.amazonaws.com"
    HEALTHIMAGING = "medical-imaging.amazonaws.com"
    SAGEMAKER = "sagemaker.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """Actions that are allowed on resources.

    Attributes:
        sid: says what it is for; letters and digits.
        actions: as IAM spells them; never with a wildcard.
        resources: templates.
        conditions: operator -> key -> templates.
        unseen: action -> why the system tests don't show a call of it.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Conditions = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)

    def render(self, names: Mapping[str, str]) -> dict[str, Any]:
        """The statement of a policy document, with names for the templates."""
        document: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": [each.format_map(names) for each in self.resources],
        }
        if self.conditions:
            document["Condition"] = {
                operator: {
                    key: [value.format_map(names) for value in values]
                    for key, values in keys.items()
                }
                for operator, keys in self.conditions.items()
            }
        return document


@dataclass(frozen=True, kw_only=True)
class RolePermissions:
    """One role.

    Attributes:
        principal: who takes it; a pod role's service account is
            ``<release>-<name>``.
        purpose: the role's description in IAM.
        statements: all that it may do.
        held_by: the AWS service that alone makes calls with the role, if no process
            of ours does.
    """

    principal: Principal
    purpose: str
    statements: tuple[Statement, ...]
    held_by: str = ""

    @property
    def actions(self) -> frozenset[str]:
        """Everything it may do, anywhere."""
        return frozenset(a for s in self.statements for a in s.actions)

    @property
    def unseen(self) -> dict[str, str]:
        """Actions that the system tests don't show, with the reason."""
        if self.held_by:
            return dict.fromkeys(self.actions, f"calls of {self.held_by}, not of ours")
        return {a: why for s in self.statements for a, why in s.unseen.items()}
