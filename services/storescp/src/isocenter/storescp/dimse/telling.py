"""What is logged of requests that were refused: not more than anybody would read.

A sender can have thousands refused in a second, while the volume is full or by intent.
"""

import itertools
import logging
from collections.abc import Mapping

log = logging.getLogger(__name__)

MOST_TOLD = 100
"""Lines about the refused requests of one association."""


class Telling:
    """The log of one association's refused requests; for any thread."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def refused(
        self, what: str, fields: Mapping[str, object], error: Exception | None = None
    ) -> None:
        """Tell of one, unless that would be too many.

        Args:
            what: the line's message.
            fields: of the line.
            error: whose traceback is to be in it.
        """
        number = next(self._numbers)
        if number <= MOST_TOLD:
            log.warning(what, exc_info=error, extra=dict(fields))
        if number == MOST_TOLD:
            log.warning(
                "more that this association is refused is only counted: see"
                " isocenter_storescp_stores_total",
                extra={
                    name: fields[name]
                    for name in ("calling_ae", "peer", "assoc_id")
                    if name in fields
                },
            )
