"""A failure on its way from one worker to another, as JSON."""

import json
import logging
from typing import Any

from isocenter.core.errors import IsocenterError, UnavailableError
from isocenter.tlm_proxy.errors import ANSWERS

log = logging.getLogger(__name__)

_KINDS = {kind.__name__: kind for kind in ANSWERS}


def dump_failure(error: Exception) -> bytes:
    """The failure; one that isn't ours is logged here and told as no answer."""
    for kind in type(error).__mro__:
        if kind.__name__ in _KINDS:
            break
    else:
        log.error("a frame for another worker failed unexpectedly", exc_info=error)
        error, kind = UnavailableError("another worker failed"), UnavailableError
    return json.dumps(
        {"kind": kind.__name__, "text": str(error), "attributes": vars(error)},
        default=str,
    ).encode()


def load_failure(body: bytes) -> IsocenterError:
    """The failure that ``dump_failure`` wrote."""
    try:
        told: dict[str, Any] = json.loads(body)
        kind = _KINDS[told["kind"]]
        error = kind.__new__(kind, str(told["text"]))
        vars(error).update(told["attributes"])
    except (ValueError, KeyError, TypeError):
        return UnavailableError("another worker answered with nothing readable")
    if isinstance(error, IsocenterError):
        return error
    return UnavailableError("another worker failed")
