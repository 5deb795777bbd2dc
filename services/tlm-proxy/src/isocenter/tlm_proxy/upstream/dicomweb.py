"""HealthImaging's own DICOMweb service (QIDO-RS, WADO-RS metadata; PS3.18)."""

from collections.abc import Callable, Sequence
from typing import Any

from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.frames.key import Store
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.upstream.json_body import read_json
from isocenter.tlm_proxy.upstream.regional import Regional
from isocenter.tlm_proxy.upstream.transport import Call

_NO_CONTENT = 204
_JSON = "application/dicom+json"


class HealthImagingDicomWeb:
    """DICOM JSON of the DICOMweb service, through the guard.

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
        self, store: Store, path: str, query: Sequence[tuple[str, str]], client: str
    ) -> list[dict[str, Any]]:
        """QIDO-RS (PS3.18 section 10.6), one page; no content is an empty list.

        Args:
            store: region and data store.
            path: after the data store, such as ``studies/1.2.3/series``.
            query: parameters, not encoded.
            client: whose turn it takes.

        Raises:
            BadRequestError: the path leads out of the data store.
            MalformedError: the answer is not a JSON array of objects.
            AnswerTooLargeError: it is over ``limit``.
            AwsError: as ``Transport.send``. No error repeats the query, which may
                name a patient.
        """
        return await self._read("search", store, path, query, client)

    async def metadata(
        self, store: Store, path: str, query: Sequence[tuple[str, str]], client: str
    ) -> list[dict[str, Any]]:
        """WADO-RS metadata (PS3.18 section 10.4.1.1.2): a data set an instance.

        Args and errors as in ``search``.
        """
        return await self._read("read", store, path, query, client)

    async def _read(
        self,
        verb: str,
        store: Store,
        path: str,
        query: Sequence[tuple[str, str]],
        client: str,
    ) -> list[dict[str, Any]]:
        region = self._region(store.region)
        operation = "DICOMweb " + ("search" if verb == "search" else "metadata")
        place = f"data store {store.datastore_id} by DICOMweb"
        arriving = await region.transport.send(
            Call(
                operation=operation,
                what=f"{verb} {place}",
                thing=f"an answer of {place}",
                subject=f"{path}?{query}",
                sign=lambda: region.signer.dicomweb(
                    store.datastore_id, path, query, _JSON
                ),
                count=lambda outcome: self._metrics.metadata_calls.labels(
                    operation, outcome
                ).inc(),
                # It may repeat what was searched for: a patient's name.
                quote=False,
                accept_encoding="gzip",
            ),
            region.dicomweb,
            client,
        )
        try:
            if arriving.status == _NO_CONTENT:
                return []
            thing = f"the answer of {place}"
            document = await read_json(arriving.pieces(), self._limit, thing)
        finally:
            arriving.close()
        if not isinstance(document, list) or not all(
            isinstance(each, dict) for each in document
        ):
            raise MalformedError(f"{thing} is not a JSON array of objects")
        return document
