"""IAM's evaluation of identity policies, as far as our policies go.

Source: IAM user guide, "Policy evaluation logic" and "Condition operators". An operator
or a key of a statement that isn't known here is an error, not a guess.
"""

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any

Document = Mapping[str, Any]


def allowed(
    statements: Iterable[Document],
    action: str,
    resource: str,
    context: Mapping[str, str] | None = None,
) -> bool:
    """Whether the statements allow it: an Allow that fits, and no Deny that does."""
    found = False
    for statement in statements:
        unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
        if unknown:
            raise ValueError(f"statements with {sorted(unknown)} are not known here")
        if (
            any(
                _like(each.lower(), action.lower())
                for each in _list(statement, "Action")
            )
            and any(_like(each, resource) for each in _list(statement, "Resource"))
            and _holds(statement.get("Condition", {}), context or {})
        ):
            if statement["Effect"] == "Deny":
                return False
            found = True
    return found


def _holds(condition: Document, context: Mapping[str, str]) -> bool:
    for operator, keys in condition.items():
        test = _OPERATORS[operator]
        for key, wanted in keys.items():
            values = wanted if isinstance(wanted, list) else [wanted]
            given = context.get(key)
            if given is None or not any(test(value, given) for value in values):
                return False
    return True


def _like(pattern: str, value: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def _equal(wanted: str, value: str) -> bool:
    return wanted == value


def _list(statement: Document, key: str) -> list[str]:
    value = statement[key]
    return value if isinstance(value, list) else [value]


_OPERATORS = {
    "StringEquals": _equal,
    "ArnEquals": _like,
    "StringLike": _like,
    "ArnLike": _like,
    "Bool": _equal,
}
