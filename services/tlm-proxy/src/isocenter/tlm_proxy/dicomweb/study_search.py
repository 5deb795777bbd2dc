"""Searches as the routes ask them: of a data store, a study, or one image set."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from isocenter.core.errors import NotFoundError
from isocenter.core.healthimaging.image_set import ImageSetMetadata, parse_metadata
from isocenter.tlm_proxy.dicomweb import image_set_search
from isocenter.tlm_proxy.dicomweb.attributes import SERIES_UID, SOP_UID
from isocenter.tlm_proxy.dicomweb.dataset import first_text
from isocenter.tlm_proxy.dicomweb.locate import Locator, Place
from isocenter.tlm_proxy.dicomweb.query import SearchQuery
from isocenter.tlm_proxy.dicomweb.search import Found, Searches
from isocenter.tlm_proxy.dicomweb.sources import ImageSetSource
from isocenter.tlm_proxy.errors import NotInStudyError
from isocenter.tlm_proxy.frames.key import Store

Rows = list[dict[str, Any]]


class StudySearches:
    """QIDO-RS of studies, of a study's series, and of a series' instances.

    Without an image set, primary image sets only, as HealthImaging does; of a
    study's series and instances, those in non-primary ones as well when asked to.
    """

    def __init__(
        self, searches: Searches, image_sets: ImageSetSource, locator: Locator
    ) -> None:
        self._searches = searches
        self._image_sets = image_sets
        self._locator = locator

    async def studies(
        self, store: Store, image_set_id: str | None, query: SearchQuery, client: str
    ) -> Found:
        """Studies of a data store, or the one study of an image set."""
        if image_set_id is None:
            return await self._searches.find(store, "studies", query, client)
        found = await self._read(store, image_set_id, client)
        return _page(image_set_search.studies(found), query)

    async def series(
        self, place: Place, query: SearchQuery, client: str, *, non_primary: bool
    ) -> Found:
        """Series of a study.

        Raises:
            NotInStudyError: the image set is not one of this study.
        """
        if place.image_set_id is not None:
            found = await self._in_study(place, place.image_set_id, client)
            return _page(image_set_search.series(found), query)
        path = f"studies/{place.study_uid}/series"
        if not non_primary:
            return await self._searches.find(place.store, path, query, client)
        rows = await self._all(place.store, path, query, client)
        async for each in self._non_primary(place, None, client):
            _add(rows, image_set_search.series(each), SERIES_UID)
        return _page(rows, query)

    async def instances(
        self,
        place: Place,
        series_uid: str,
        query: SearchQuery,
        client: str,
        *,
        non_primary: bool,
    ) -> Found:
        """Instances of a series; as ``series``."""
        if place.image_set_id is not None:
            found = await self._in_study(place, place.image_set_id, client)
            return _page(image_set_search.instances(found, series_uid), query)
        path = f"studies/{place.study_uid}/series/{series_uid}/instances"
        if not non_primary:
            return await self._searches.find(place.store, path, query, client)
        rows = await self._all(place.store, path, query, client)
        async for each in self._non_primary(place, series_uid, client):
            _add(rows, image_set_search.instances(each, series_uid), SOP_UID)
        return _page(rows, query)

    async def _all(
        self, store: Store, path: str, query: SearchQuery, client: str
    ) -> Rows:
        """All primary matches: pages are cut after the others are added."""
        unpaged = query.unpaged()
        return (await self._searches.find(store, path, unpaged, client)).rows

    async def _non_primary(
        self, place: Place, series_uid: str | None, client: str
    ) -> AsyncIterator[ImageSetMetadata]:
        """The study's non-primary image sets, or those that may hold a series.

        One after the other: all at once may be more than memory has room for.
        """
        for each in await self._locator.image_sets(place, client):
            if each.primary or (
                series_uid is not None and each.series_uid not in {None, series_uid}
            ):
                continue
            try:
                yield await self._read(place.store, each.id, client)
            except NotFoundError:
                # Deleted since it was listed.
                continue

    async def _in_study(
        self, place: Place, image_set_id: str, client: str
    ) -> ImageSetMetadata:
        found = await self._read(place.store, image_set_id, client)
        if image_set_search.study_uid(found) != place.study_uid:
            raise NotInStudyError("the image set is not one of this study")
        return found

    async def _read(
        self, store: Store, image_set_id: str, client: str
    ) -> ImageSetMetadata:
        document = await self._image_sets.metadata(store, image_set_id, None, client)
        return await asyncio.to_thread(parse_metadata, document)


def _add(rows: Rows, more: Rows, uid_tag: str) -> None:
    """Add the rows that aren't there yet."""
    there = {first_text(row, uid_tag) for row in rows}
    rows += (row for row in more if first_text(row, uid_tag) not in there)


def _page(rows: Rows, query: SearchQuery) -> Found:
    matching = [row for row in rows if query.matches(row)]
    end = None if query.limit is None else query.offset + query.limit
    return Found(matching[query.offset : end], query.warnings())
