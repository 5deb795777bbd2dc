"""Searches: pages of HealthImaging's results, filtered where it can't filter.

``limit`` and ``offset`` count matches. Where HealthImaging knows every key they
are passed on; otherwise its results are read from the first page on, at most
``max_rows`` of them, and counted after filtering.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from isocenter.tlm_proxy.dicomweb.attributes import UID_OF
from isocenter.tlm_proxy.dicomweb.dataset import first_text
from isocenter.tlm_proxy.dicomweb.query import Plan, SearchQuery, plan
from isocenter.tlm_proxy.dicomweb.sources import DicomWebSource
from isocenter.tlm_proxy.errors import BadRequestError
from isocenter.tlm_proxy.frames.key import Store

PAGE = 1000
"""Results of one call: HealthImaging's maximum."""
MAX_ROWS = 10_000
"""Results that HealthImaging gives of one search, all pages together."""
MORE = '299 - "There are more results than are given: narrow the search"'

_RETRIEVE_URL = "00081190"
"""Leads to HealthImaging itself, past the proxy and its tokens."""


@dataclass(frozen=True)
class Found:
    """What a search gives: results, and texts for Warning headers."""

    rows: list[dict[str, Any]]
    warnings: tuple[str, ...]


class Searches:
    """QIDO-RS against HealthImaging.

    Args:
        source: its DICOMweb service.
        max_rows: results that one search reads at most.
    """

    def __init__(self, source: DicomWebSource, max_rows: int = MAX_ROWS) -> None:
        self._source = source
        self._max_rows = max_rows

    async def find(
        self, store: Store, path: str, query: SearchQuery, client: str
    ) -> Found:
        """The matches that ``query`` asks for.

        Raises:
            BadRequestError: ``offset`` is past what HealthImaging gives.
            AwsError: HealthImaging refused, or did not answer.
        """
        if query.offset >= self._max_rows:
            raise BadRequestError(
                f"offset must be under {self._max_rows}, all that HealthImaging "
                "gives of one search: narrow the search"
            )
        planned = plan(query)
        found = None
        if planned.complete:
            found = await self._passed_on(store, path, query, planned, client)
        if found is None:
            found = await self._filtered(store, path, query, planned, client)
        rows, more = found
        for row in rows:
            row.pop(_RETRIEVE_URL, None)
        return Found(rows, (MORE,) * more + query.warnings())

    async def _passed_on(
        self, store: Store, path: str, query: SearchQuery, planned: Plan, client: str
    ) -> tuple[list[dict[str, Any]], bool] | None:
        """Results as HealthImaging pages them; None if it ignored a key."""
        room = self._max_rows - query.offset
        wanted = room if query.limit is None else min(query.limit, room)
        pages = _Pages(self._source, store, path, client, UID_OF[query.level])
        rows: list[dict[str, Any]] = []
        async for page in pages.of(planned.variants[0], query.offset, wanted):
            if not all(query.matches(row, planned.sent) for row in page):
                return None
            rows += page
        # A limit that was met is what was asked for; the end of the room is not.
        return rows[:wanted], len(rows) >= wanted == room

    async def _filtered(
        self, store: Store, path: str, query: SearchQuery, planned: Plan, client: str
    ) -> tuple[list[dict[str, Any]], bool]:
        end = None if query.limit is None else query.offset + query.limit
        pages = _Pages(self._source, store, path, client, UID_OF[query.level])
        rows: list[dict[str, Any]] = []
        read = 0
        for variant in planned.variants:
            async for page in pages.of(variant, 0, self._max_rows - read):
                read += len(page)
                rows += (row for row in page if query.matches(row, planned.sent))
                if end is not None and len(rows) >= end:
                    return rows[query.offset : end], False
        return rows[query.offset : end], read >= self._max_rows


class _Pages:
    """The pages of one search; a result that moved to a later page comes once."""

    def __init__(
        self, source: DicomWebSource, store: Store, path: str, client: str, uid_tag: str
    ) -> None:
        self._source = source
        self._store = store
        self._path = path
        self._client = client
        self._uid_tag = uid_tag
        self._seen: set[str] = set()

    async def of(
        self, parameters: tuple[tuple[str, str], ...], offset: int, wanted: int
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Pages from ``offset`` on, until ``wanted`` rows were read or the end."""
        while wanted > 0:
            limit = min(PAGE, wanted)
            page = await self._source.search(
                self._store,
                self._path,
                [*parameters, ("limit", str(limit)), ("offset", str(offset))],
                self._client,
            )
            new = [row for row in page if self._is_new(row)]
            if new:
                yield new
            # No new row: offset is ignored, and would be for ever.
            if len(page) < limit or not new:
                return
            offset += len(page)
            wanted -= len(page)

    def _is_new(self, row: dict[str, Any]) -> bool:
        uid = first_text(row, self._uid_tag)
        if uid is None:
            return True
        if uid in self._seen:
            return False
        self._seen.add(uid)
        return True
