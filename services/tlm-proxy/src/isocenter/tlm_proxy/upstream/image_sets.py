"""Image sets: SearchImageSets and GetImageSetMetadata.

Signed and sent as frames are, not by boto3 in threads: so a caller that goes away
ends its call, and deadlines, turns and the circuit are the same for all calls.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.dicomweb.sources import ImageSetSummary
from isocenter.tlm_proxy.frames.key import Store
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.upstream.guard import Guard
from isocenter.tlm_proxy.upstream.json_body import read_json
from isocenter.tlm_proxy.upstream.regional import Regional
from isocenter.tlm_proxy.upstream.transport import Call

_PAGE = 50
"""The most that SearchImageSets gives at once."""
_PAGES = 200
"""Pages read of one search; a study has far fewer image sets than 10,000."""


class HealthImagingImageSets:
    """HealthImaging's runtime API on image sets, through the guard.

    Args:
        region: finds what calls a region takes.
        metrics: where calls are counted.
        limit: bytes of an answer, inflated.
    """

    def __init__(
        self, region: Callable[[str], Regional], metrics: Metrics, limit: int
    ) -> None:
        self._region = region
        self._metrics = metrics
        self._limit = limit

    async def search(
        self, store: Store, attribute: str, value: str, client: str
    ) -> list[ImageSetSummary]:
        """SearchImageSets by one attribute, all pages.

        Args:
            store: region and data store.
            attribute: ``DICOMStudyInstanceUID`` or ``DICOMSeriesInstanceUID``.
            value: what it must equal.
            client: whose turn it takes.

        Raises:
            MalformedError: an answer is not of the documented form, or pages
                don't end.
            AnswerTooLargeError: a page is over ``limit``.
            AwsError: as ``Transport.send``.
        """
        region = self._region(store.region)
        thing = f"the search of data store {store.datastore_id}"
        found: list[ImageSetSummary] = []
        token: str | None = None
        for _ in range(_PAGES):
            call = Call(
                operation="SearchImageSets",
                what=f"search data store {store.datastore_id}",
                thing=thing,
                subject=value,
                sign=partial(
                    region.signer.operation,
                    "SearchImageSets",
                    {"datastoreId": store.datastore_id},
                    {"maxResults": _PAGE, "nextToken": token},
                    # searchCriteria is the whole body (the model's payload).
                    {
                        "filters": [
                            {"values": [{attribute: value}], "operator": "EQUAL"}
                        ]
                    },
                ),
                count=self._counter("SearchImageSets"),
                # It may repeat what was searched for.
                quote=False,
            )
            document = await self._read(region, region.searches, call, client)
            found += summaries(document, thing)
            token = document.get("nextToken")
            if not token:
                return found
        raise MalformedError(f"{thing} has over {_PAGES} pages")

    async def metadata(
        self, store: Store, image_set_id: str, version: str | None, client: str
    ) -> dict[str, Any]:
        """GetImageSetMetadata, inflated and decoded.

        Args:
            store: region and data store.
            image_set_id: the image set.
            version: its version; None asks for the latest.
            client: whose turn it takes.

        Raises:
            MalformedError: the blob is not gzipped JSON, or not an object.
            AnswerTooLargeError: it is over ``limit``.
            AwsError: as ``Transport.send``.
        """
        region = self._region(store.region)
        thing = f"the metadata of image set {image_set_id}"
        call = Call(
            operation="GetImageSetMetadata",
            what=f"read {thing}",
            thing=thing,
            subject=image_set_id,
            sign=partial(
                region.signer.operation,
                "GetImageSetMetadata",
                {"datastoreId": store.datastore_id, "imageSetId": image_set_id},
                {"versionId": version},
            ),
            count=self._counter("GetImageSetMetadata"),
        )
        return await self._read(region, region.metadata, call, client)

    def _counter(self, operation: str) -> Callable[[str], None]:
        calls = self._metrics.metadata_calls
        return lambda outcome: calls.labels(operation, outcome).inc()

    async def _read(
        self, region: Regional, guard: Guard, call: Call, client: str
    ) -> dict[str, Any]:
        arriving = await region.transport.send(call, guard, client)
        try:
            document = await read_json(arriving.pieces(), self._limit, call.thing)
        finally:
            arriving.close()
        if not isinstance(document, dict):
            raise MalformedError(f"{call.thing} is not a JSON object")
        return document


def summaries(document: Mapping[str, Any], thing: str) -> list[ImageSetSummary]:
    """The results of one page of SearchImageSets.

    Raises:
        MalformedError: it is not of the documented form.
    """
    found = document.get("imageSetsMetadataSummaries")
    if not isinstance(found, list):
        raise MalformedError(f"{thing} gave no list of image sets")
    try:
        return [
            ImageSetSummary(
                id=str(each["imageSetId"]),
                version=str(each.get("version", "1")),
                is_primary=each.get("isPrimary"),
                tags=each.get("DICOMTags") or {},
            )
            for each in found
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise MalformedError(f"{thing} gave an image set without its id") from error
