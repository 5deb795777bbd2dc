"""The image sets of a study, and which of them may hold a series. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from isocenter.tlm_proxy.dicomweb.sources import ImageSetSummary

_SERIES_TAG = "DICOMSeriesInstanceUID"


class ImageSetVersion(NamedTuple):
    """One image set of a study, as it is now.

    Attributes:
        id: the image set.
        version: its latest version.
        primary: False only where HealthImaging says so.
        series_uid: the series its tags name; None if they name none.
    """

    id: str
    version: str
    primary: bool
    series_uid: str | None


class Listing:
    """The image sets of a study, and when they were listed."""

    __slots__ = ("_orders", "_tagged", "at", "image_sets")

    def __init__(self, found: Iterable[ImageSetSummary], at: float) -> None:
        # Of the tags one is kept: others are the patient's.
        self.image_sets = tuple(
            ImageSetVersion(
                each.id,
                str(each.version),
                each.is_primary is not False,
                _text(each.tags.get(_SERIES_TAG)),
            )
            for each in found
        )
        self.at = at
        self._tagged = {each.series_uid for each in self.image_sets}
        self._orders: dict[str, tuple[ImageSetVersion, ...]] = {}

    def in_order(
        self, image_set_id: str | None, series_uid: str
    ) -> tuple[ImageSetVersion, ...]:
        """The image sets that may hold a series, the likeliest first."""
        if image_set_id is not None:
            return tuple(each for each in self.image_sets if each.id == image_set_id)
        found = self._orders.get(series_uid)
        if found is None:
            found = tuple(
                sorted(self.image_sets, key=lambda each: rank(each, series_uid))
            )
            # Kept for series that are there, not for whatever is asked for.
            if series_uid in self._tagged:
                self._orders[series_uid] = found
        return found


def rank(image_set: ImageSetVersion, series_uid: str) -> tuple[bool, bool]:
    """Order of the image sets that may hold a series; the least first."""
    other = image_set.series_uid not in {None, series_uid}
    return other, not image_set.primary


def _text(tag: object) -> str | None:
    return tag.strip(" \0") or None if isinstance(tag, str) else None
