"""Where an instance's frames are: study -> image sets -> instances -> frame ids.

SearchImageSets by study, once; then the metadata of image sets that may hold the
series, primary ones first. A version of an image set never changes, so its map is
kept until there is no room; the list of image sets is asked for again after
``ttl_s``, and for what isn't in them at most every ``retry_s``.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

from isocenter.core.errors import NotFoundError
from isocenter.tlm_proxy.dicomweb.image_set_list import (
    ImageSetVersion,
    Listing,
    image_sets_of,
    rank,
)
from isocenter.tlm_proxy.dicomweb.instance_map import (
    InstanceMap,
    MappedInstance,
    instance_map,
)
from isocenter.tlm_proxy.dicomweb.single_flight import SingleFlight
from isocenter.tlm_proxy.dicomweb.sources import ImageSetSource
from isocenter.tlm_proxy.errors import NotInStudyError
from isocenter.tlm_proxy.frames.key import Store

MAX_STUDIES = 10_000
"""Studies whose image sets are remembered."""
MAX_LISTED = 50_000
"""Image sets of those studies, all together; each takes about 500 bytes."""
_STUDY_TAG = "DICOMStudyInstanceUID"


_GONE = InstanceMap({})


class Place(NamedTuple):
    """What a request names.

    Attributes:
        store: region and data store.
        study_uid: the study.
        image_set_id: the only image set meant; None for all of the study.
    """

    store: Store
    study_uid: str
    image_set_id: str | None = None


class Locator:
    """Finds instances.

    Args:
        source: HealthImaging.
        ttl_s: seconds that a study's list of image sets is trusted.
        max_bytes: memory for maps.
        retry_s: seconds between two looks for what wasn't there.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        source: ImageSetSource,
        *,
        ttl_s: float,
        max_bytes: int,
        retry_s: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._ttl_s = ttl_s
        self._retry_s = retry_s
        self._max_bytes = max_bytes
        self._clock = clock
        self._listings: OrderedDict[tuple[Store, str], Listing] = OrderedDict()
        self._listed = 0
        self._maps: OrderedDict[tuple[Store, str, str], InstanceMap] = OrderedDict()
        self._flights = SingleFlight()
        self.used_bytes = 0

    def known(
        self, place: Place, series_uid: str, sop_uid: str
    ) -> MappedInstance | None:
        """The instance, if it is mapped and the study's list is not too old."""
        listing = self._listings.get((place.store, place.study_uid))
        if listing is None or self._clock() - listing.at > self._ttl_s:
            return None
        for image_set in listing.in_order(place.image_set_id, series_uid):
            mapped = self._maps.get((place.store, image_set.id, image_set.version))
            if mapped is None:
                # It comes first, and may hold the instance.
                return None
            found = mapped.instances.get(sop_uid)
            if found is not None and found.series_uid == series_uid:
                self._maps.move_to_end((place.store, image_set.id, image_set.version))
                return found
        return None

    async def instance(
        self, place: Place, series_uid: str, sop_uid: str, client: str
    ) -> MappedInstance:
        """The instance, mapped now if it isn't yet.

        Raises:
            NotInStudyError: the study has no such instance.
            AwsError: HealthImaging did not answer.
            MalformedError: an image set's metadata can't be read.
        """
        for max_age in (self._ttl_s, self._retry_s):
            listing = await self._listing(place, max_age, client)
            for image_set in listing.in_order(place.image_set_id, series_uid):
                mapped = await self._map(place, image_set, client)
                found = mapped.instances.get(sop_uid)
                if found is not None and found.series_uid == series_uid:
                    return found
        raise NotInStudyError("the study has no such instance in this series")

    async def series(
        self, place: Place, series_uid: str, client: str, *, fresh: bool = False
    ) -> list[MappedInstance]:
        """The instances of a series by Instance Number, each once.

        Those of primary image sets; of others only if no primary one has any.

        Args:
            place: the study.
            series_uid: the series.
            client: whom calls are counted for.
            fresh: not from a list older than ``retry_s``: a study is opened.

        Raises:
            as ``instance``; NotInStudyError: the study has no such series.
        """
        for max_age in (self._retry_s if fresh else self._ttl_s, self._retry_s):
            listing = await self._listing(place, max_age, client)
            ordered = listing.in_order(place.image_set_id, series_uid)
            for _, group in groupby(ordered, lambda each: rank(each, series_uid)):
                found: dict[str, MappedInstance] = {}
                for image_set in group:
                    mapped = await self._map(place, image_set, client)
                    for sop_uid, each in mapped.instances.items():
                        if each.series_uid == series_uid:
                            found.setdefault(sop_uid, each)
                if found:
                    return sorted(found.values(), key=_by_number)
        raise NotInStudyError("the study has no such series")

    async def image_sets(
        self, place: Place, client: str
    ) -> tuple[ImageSetVersion, ...]:
        """The image sets of the study, as SearchImageSets lists them now."""
        return (await self._listing(place, self._retry_s, client)).image_sets

    def forget(self, place: Place) -> None:
        """The study's image sets are not what they were: list them anew."""
        self._drop(place)

    async def _listing(self, place: Place, max_age: float, client: str) -> Listing:
        key = (place.store, place.study_uid)
        listing = self._listings.get(key)
        if listing is not None and self._clock() - listing.at <= max_age:
            return listing
        return await self._flights.run(key, lambda: self._list(place, client))

    async def _list(self, place: Place, client: str) -> Listing:
        found = await self._source.search(
            place.store, _STUDY_TAG, place.study_uid, client
        )
        listing = Listing(image_sets_of(found), self._clock())
        self._keep(place, listing)
        return listing

    def _keep(self, place: Place, listing: Listing) -> None:
        self._drop(place)
        self._listings[place.store, place.study_uid] = listing
        self._listed += len(listing.image_sets)
        while len(self._listings) > MAX_STUDIES or (
            self._listed > MAX_LISTED and len(self._listings) > 1
        ):
            _, oldest = self._listings.popitem(last=False)
            self._listed -= len(oldest.image_sets)

    def _drop(self, place: Place) -> Listing | None:
        found = self._listings.pop((place.store, place.study_uid), None)
        if found is not None:
            self._listed -= len(found.image_sets)
        return found

    async def _map(
        self, place: Place, image_set: ImageSetVersion, client: str
    ) -> InstanceMap:
        key = (place.store, image_set.id, image_set.version)
        found = self._maps.get(key)
        if found is not None:
            self._maps.move_to_end(key)
            return found
        try:
            return await self._flights.run(
                key, lambda: self._read(place.store, image_set, client)
            )
        except NotFoundError:
            # Deleted since it was listed: the study's others are still there.
            listing = self._drop(place)
            if listing is not None:
                self._keep(place, listing.without(image_set))
            return _GONE

    async def _read(
        self, store: Store, image_set: ImageSetVersion, client: str
    ) -> InstanceMap:
        document = await self._source.metadata(
            store, image_set.id, image_set.version, client
        )
        mapped = await asyncio.to_thread(
            instance_map, image_set.id, image_set.version, document
        )
        self._maps[store, image_set.id, image_set.version] = mapped
        self.used_bytes += mapped.bytes
        while self.used_bytes > self._max_bytes and self._maps:
            _, oldest = self._maps.popitem(last=False)
            self.used_bytes -= oldest.bytes
        return mapped


def _by_number(instance: MappedInstance) -> tuple[float, str]:
    number = instance.number
    return (float("inf") if number is None else number), instance.sop_uid
