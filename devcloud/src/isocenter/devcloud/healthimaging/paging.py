"""Pages of a sorted list, with tokens that survive what is added between."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from isocenter.devcloud.healthimaging.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MAX_RESULTS", "page"]

MAX_RESULTS: Final = 50
T = TypeVar("T")


def page(
    items: Sequence[T],
    name_of: Callable[[T], str],
    max_results: int | None,
    token: str | None,
    query: Any = None,
) -> tuple[list[T], str | None]:
    """(items of the page, token of the next one or None).

    ``name_of`` must be unique; the token names the last item of its page, and
    the ``query`` it belongs to: another query's token is a ValidationError.
    """
    query = json.loads(json.dumps(query))
    start = 0
    if token is not None:
        last = _read(token, query)
        names = [name_of(item) for item in items]
        if last not in names:
            raise ValidationError("The nextToken is not valid any more")
        start = names.index(last) + 1
    end = start + (max_results or MAX_RESULTS)
    chosen = list(items[start:end])
    if end >= len(items):
        return chosen, None
    text = json.dumps([name_of(chosen[-1]), query])
    return chosen, base64.urlsafe_b64encode(text.encode()).decode("ascii")


def _read(token: str, query: Any) -> str:
    try:
        last, asked = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValidationError("The nextToken is not valid") from error
    if asked != query:
        raise ValidationError("The nextToken belongs to another query")
    return str(last)
