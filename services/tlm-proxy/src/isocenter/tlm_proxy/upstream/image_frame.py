"""GetImageFrame as a stream."""

import asyncio
from collections.abc import AsyncIterator

from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.upstream.regional import Regional
from isocenter.tlm_proxy.upstream.transport import Arriving, Call

_UNKNOWN_TYPE = "application/octet-stream"


class UpstreamFrame:
    """A frame that HealthImaging has begun to send."""

    def __init__(self, arriving: Arriving) -> None:
        self._arriving = arriving
        media_type = arriving.headers.get("Content-Type", "")
        self.media_type = (
            media_type if media_type and media_type.isascii() else _UNKNOWN_TYPE
        )
        self.size = arriving.size

    def pieces(self) -> AsyncIterator[bytes]:
        """The frame's bytes as they arrive, to the end.

        Raises:
            DeadlineError: no byte for ``upstream_idle_s``.
            UnavailableError: the connection broke.
        """
        return self._arriving.pieces()

    def close(self) -> None:
        """Close the connection, unless the frame was read to its end."""
        self._arriving.close()


async def get_image_frame(
    region: Regional, metrics: Metrics, key: FrameKey, client: str
) -> UpstreamFrame:
    """GetImageFrame of ``key``, once its headers are here.

    Raises:
        AwsError: as ``Transport.send``.
    """
    loop = asyncio.get_running_loop()
    asked = loop.time()
    arriving = await region.transport.send(
        Call(
            operation="GetImageFrame",
            what=f"read frame {key.frame_id} of image set {key.image_set_id}",
            thing=f"frame {key.frame_id}",
            subject=key.frame_id,
            sign=lambda: region.signer.operation(
                "GetImageFrame",
                {"datastoreId": key.datastore_id, "imageSetId": key.image_set_id},
                body={"imageFrameId": key.frame_id},
            ),
            count=lambda outcome: metrics.upstream_calls.labels(outcome).inc(),
        ),
        region.frames,
        client,
    )
    metrics.upstream_first_byte.observe(loop.time() - asked)
    return UpstreamFrame(arriving)
