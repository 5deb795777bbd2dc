"""Which data stores a caller may read, by a claim of the token. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isocenter.core.run_request import ID_PATTERN

EVERY = "*"
_SEPARATORS = re.compile(r"[\s,]+")


@dataclass(frozen=True)
class Rights:
    """What the settings say of data stores.

    Attributes:
        served: ids of the data stores that are served; None for every one.
        claim: the claim that says which of them a caller may read; None if every
            caller may read all.
        groups: ids, or ``*``, by a name that the claim may hold. A name hides an
            id that is written the same.
    """

    served: frozenset[str] | None = None
    claim: str | None = None
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def of(self, claims: Mapping[str, Any]) -> frozenset[str] | None:
        """Ids of the data stores a token's bearer may read; None for every one.

        A token without the claim may read none. Values that are neither an id,
        nor a group, nor ``*``, say nothing: other programs may have use for them.
        """
        if self.claim is None:
            return self.served
        given: set[str] = set()
        for value in _values(claims.get(self.claim)):
            given.update(self.groups.get(value, (value,)))
        if EVERY in given:
            return self.served
        ids = frozenset(each for each in given if re.fullmatch(ID_PATTERN, each))
        return ids if self.served is None else ids & self.served


def has_scope(claims: Mapping[str, Any], scope: str) -> bool:
    """Whether a token has a scope: `scope` (RFC 8693 section 4.2) or `scp`."""
    return any(scope in _values(claims.get(name)) for name in ("scope", "scp"))


def _values(claim: Any) -> Iterator[str]:
    """The words of a claim: a list's, or those of a text."""
    if isinstance(claim, str):
        yield from (word for word in _SEPARATORS.split(claim) if word)
    elif isinstance(claim, list):
        yield from (word for word in claim if isinstance(word, str))
