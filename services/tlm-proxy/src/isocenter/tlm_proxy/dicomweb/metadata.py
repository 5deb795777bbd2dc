"""Metadata of a series: HealthImaging's, without pixels, with the stored syntax."""

import asyncio
from typing import Any

from isocenter.core.errors import IsocenterError, NotFoundError
from isocenter.tlm_proxy.dicomweb.attributes import SOP_UID
from isocenter.tlm_proxy.dicomweb.dataset import first_text
from isocenter.tlm_proxy.dicomweb.instance_map import MappedInstance
from isocenter.tlm_proxy.dicomweb.locate import Locator, Place
from isocenter.tlm_proxy.dicomweb.sources import DicomWebSource

AVAILABLE_TRANSFER_SYNTAX = "00083002"
_LEFT_OUT = ("7FE00010", "7FE00008", "7FE00009", "00081190")
"""Pixel Data and its floating-point kin, for frames have their own route; Retrieve
URL, which leads to HealthImaging itself."""

Rows = list[dict[str, Any]]


class SeriesMetadata:
    """WADO-RS metadata of a series.

    Args:
        source: HealthImaging's DICOMweb service.
        locator: knows the stored transfer syntaxes.
    """

    def __init__(self, source: DicomWebSource, locator: Locator) -> None:
        self._source = source
        self._locator = locator

    async def read(
        self, place: Place, series_uid: str, client: str, *, non_primary: bool
    ) -> Rows:
        """A data set for each instance.

        Args:
            place: the study; with an image set, only what that one holds.
            series_uid: the series.
            client: whom calls are counted for.
            non_primary: also instances that are in non-primary image sets alone.

        Raises:
            AwsError: HealthImaging has none, refused, or did not answer.
        """
        # Frames will be asked for next: the map is wanted in any case.
        known = asyncio.create_task(self._known(place, series_uid, client))
        try:
            rows = await self._rows(place, series_uid, client, non_primary)
            mapped = await known
        finally:
            known.cancel()
        for row in rows:
            _tidy(row, mapped)
        return rows

    async def _known(
        self, place: Place, series_uid: str, client: str
    ) -> dict[str, MappedInstance]:
        """The series' instances by UID; none if they can't be told now."""
        try:
            found = await self._locator.series(place, series_uid, client, fresh=True)
        except IsocenterError:
            return {}
        return {each.sop_uid: each for each in found}

    async def _rows(
        self, place: Place, series_uid: str, client: str, non_primary: bool
    ) -> Rows:
        if place.image_set_id is not None or not non_primary:
            return await self._of(place, series_uid, place.image_set_id, client)
        rows: dict[str, dict[str, Any]] = {}
        missing: NotFoundError | None = None
        for image_set_id in await self._image_sets(place, series_uid, client):
            try:
                found = await self._of(place, series_uid, image_set_id, client)
            except NotFoundError as error:
                missing = error
                continue
            for row in found:
                rows.setdefault(_sop_uid(row), row)
        if not rows and missing is not None:
            raise missing
        return list(rows.values())

    async def _image_sets(
        self, place: Place, series_uid: str, client: str
    ) -> list[str | None]:
        """None for the primary ones, then each other that may hold the series."""
        found = await self._locator.image_sets(place, client)
        return [None] + [
            each.id
            for each in found
            if not each.primary and each.series_uid in {None, series_uid}
        ]

    async def _of(
        self, place: Place, series_uid: str, image_set_id: str | None, client: str
    ) -> Rows:
        query = [("imageSetId", image_set_id)] if image_set_id else []
        path = f"studies/{place.study_uid}/series/{series_uid}/metadata"
        return await self._source.metadata(place.store, path, query, client)


def _sop_uid(row: dict[str, Any]) -> str:
    return first_text(row, SOP_UID) or ""


def _tidy(row: dict[str, Any], mapped: dict[str, MappedInstance]) -> None:
    for tag in _LEFT_OUT:
        row.pop(tag, None)
    _leave_no_links(row)
    instance = mapped.get(_sop_uid(row))
    if instance is not None and instance.frames:
        row[AVAILABLE_TRANSFER_SYNTAX] = {"vr": "UI", "Value": [instance.syntax]}


def _leave_no_links(dataset: dict[str, Any]) -> None:
    """Take out values that are to be had from HealthImaging's own host alone.

    Who follows such a URL (PS3.18 F.2.6) leaves the proxy, with the token meant
    for it.
    """
    links = []
    for tag, element in dataset.items():
        if not isinstance(element, dict):
            continue
        if "BulkDataURI" in element:
            links.append(tag)
        elif element.get("vr") == "SQ":
            for item in element.get("Value") or ():
                if isinstance(item, dict):
                    _leave_no_links(item)
    for tag in links:
        del dataset[tag]
