"""The image sets of a study, and which of them may hold a series. Pure."""

from collections.abc import Iterable, Iterator
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


ByTag = dict[str | None, list[ImageSetVersion]]


class Listing:
    """The image sets of a study, and when they were listed."""

    __slots__ = ("_by_tag", "at", "image_sets")

    def __init__(self, found: Iterable[ImageSetVersion], at: float) -> None:
        self.image_sets = tuple(found)
        self.at = at
        # Primary ones, then the others; of each those whose tags name a series.
        self._by_tag: tuple[ByTag, ByTag] = ({}, {})
        for each in self.image_sets:
            by_tag = self._by_tag[not each.primary]
            by_tag.setdefault(each.series_uid, []).append(each)

    def without(self, image_set: ImageSetVersion) -> "Listing":
        """The same but for one image set."""
        return Listing((each for each in self.image_sets if each != image_set), self.at)

    def in_order(
        self, image_set_id: str | None, series_uid: str
    ) -> Iterator[ImageSetVersion]:
        """The image sets that may hold a series, in the order of ``rank``."""
        if image_set_id is not None:
            yield from (each for each in self.image_sets if each.id == image_set_id)
            return
        for by_tag in self._by_tag:
            yield from by_tag.get(series_uid, ())
            yield from by_tag.get(None, ())
            for tag, image_sets in by_tag.items():
                if tag not in {None, series_uid}:
                    yield from image_sets


def image_sets_of(found: Iterable[ImageSetSummary]) -> Iterator[ImageSetVersion]:
    """What is kept of a search's results: of the tags one, others are the patient's."""
    for each in found:
        yield ImageSetVersion(
            each.id,
            str(each.version),
            each.is_primary is not False,
            _text(each.tags.get(_SERIES_TAG)),
        )


def rank(image_set: ImageSetVersion, series_uid: str) -> tuple[bool, bool]:
    """Order of the image sets that may hold a series; the least first.

    Primary ones before all others, even where their tags name another series:
    tags have one, and image sets from before there were primary ones may hold more.
    """
    return not image_set.primary, image_set.series_uid not in {None, series_uid}


def _text(tag: object) -> str | None:
    return tag.strip(" \0") or None if isinstance(tag, str) else None
