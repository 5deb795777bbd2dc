"""Thumbnails: a middle frame, as much of it as is needed, drawn in a few threads."""

import asyncio
import hashlib
import re
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple

from isocenter.core.errors import MalformedError
from isocenter.tlm_proxy.dicomweb.drawable import is_drawable, reduction
from isocenter.tlm_proxy.dicomweb.instance_map import MappedInstance
from isocenter.tlm_proxy.dicomweb.locate import Locator, Place
from isocenter.tlm_proxy.dicomweb.media_types import HTJ2K
from isocenter.tlm_proxy.dicomweb.presentation import Presentation
from isocenter.tlm_proxy.errors import (
    BadRequestError,
    NoThumbnailError,
    NotInStudyError,
)
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import Reduce
from isocenter.tlm_proxy.frames.store import Frames

DEFAULT_BOX = (256, 256)
MAX_SIDE = 1024
CACHE_BYTES = 16 * 1024 * 1024
_WORKERS = 2
_AT_ONCE = 16
"""Thumbnails whose frames are read at the same time."""
_VIEWPORT = re.compile(r"([0-9]{1,5}),([0-9]{1,5})")


class Thumbnail(NamedTuple):
    """A picture; ``etag`` changes with what it shows."""

    jpeg: bytes
    etag: str


def parse_viewport(text: str | None) -> tuple[int, int]:
    """Width and height of ``viewport=w,h`` (PS3.18 8.3.5.1.3).

    Raises:
        BadRequestError: not of that form, or out of range. A part of the picture
            (``sx,sy,sw,sh``) is not made.
    """
    if text is None:
        return DEFAULT_BOX
    found = _VIEWPORT.fullmatch(text)
    if found is None:
        raise BadRequestError("viewport must be width,height in pixels")
    width, height = int(found[1]), int(found[2])
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise BadRequestError(f"viewport's sides must be from 1 to {MAX_SIDE}")
    return width, height


class Thumbnails:
    """Makes thumbnails and keeps some.

    Args:
        frames: where frames come from.
        locator: where instances are.
    """

    def __init__(self, frames: Frames, locator: Locator) -> None:
        self._frames = frames
        self._locator = locator
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="thumbnail")
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._used = 0

    async def of_series(
        self, place: Place, series_uid: str, box: tuple[int, int], client: str
    ) -> Thumbnail:
        """The middle instance of a series, by Instance Number.

        Raises:
            NotInStudyError: no such series.
            NoThumbnailError: none of its instances can be drawn.
            AwsError: HealthImaging did not answer.
        """
        instances = await self._locator.series(place, series_uid, client)
        drawable = [each for each in instances if _is_drawable(each)]
        if not drawable:
            raise NoThumbnailError("the series has no pictures that can be drawn")
        middle = drawable[len(drawable) // 2]
        return await self._of(place, middle, box, client)

    async def of_instance(
        self,
        place: Place,
        series_uid: str,
        sop_uid: str,
        box: tuple[int, int],
        client: str,
    ) -> Thumbnail:
        """One instance; as ``of_series``."""
        found = await self._locator.instance(place, series_uid, sop_uid, client)
        return await self._of(place, found, box, client)

    def close(self) -> None:
        """Give the threads up."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _of(
        self,
        place: Place,
        instance: MappedInstance,
        box: tuple[int, int],
        client: str,
    ) -> Thumbnail:
        if not _is_drawable(instance):
            raise NoThumbnailError(
                f"no thumbnail is made of {instance.presentation.photometric or 'no'} "
                f"pixels stored in {instance.syntax}"
            )
        frame_id = instance.frame_id(instance.frames // 2 + 1)
        if frame_id is None:
            raise NotInStudyError("the instance has no frame")
        key = FrameKey(*place.store, instance.image_set_id, frame_id)
        etag = _etag(key, instance.version, box)
        kept = self._kept.get(etag)
        if kept is not None:
            self._kept.move_to_end(etag)
            return Thumbnail(kept, etag)
        async with self._room:
            jpeg = await self._draw(key, instance, box, client)
        self._keep(etag, jpeg)
        return Thumbnail(jpeg, etag)

    async def _draw(
        self,
        key: FrameKey,
        instance: MappedInstance,
        box: tuple[int, int],
        client: str,
    ) -> bytes:
        shown = instance.presentation
        n = reduction(shown, box)
        stored = await self._stored(key, n if instance.syntax in HTJ2K else 0, client)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._pool, _draw, stored, instance.syntax, shown, n, box
            )
        except MalformedError as error:
            raise NoThumbnailError(f"the frame can't be drawn: {error}") from error

    async def _stored(self, key: FrameKey, n: int, client: str) -> bytes:
        """What of a frame decodes at 1/2^n."""
        with closing(await self._frames.open(key, client)) as reader:
            found = await reader.locate(Reduce(n) if n else None)
            return b"".join([bytes(piece) async for piece in reader.pieces(found)])

    def _keep(self, etag: str, jpeg: bytes) -> None:
        old = self._kept.pop(etag, b"")
        self._kept[etag] = jpeg
        self._used += len(jpeg) - len(old)
        while self._used > CACHE_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._used -= len(oldest)


def _draw(
    stored: bytes, syntax: str, shown: Presentation, n: int, box: tuple[int, int]
) -> bytes:
    """``rendering.draw``; numpy and Pillow are loaded for the first picture."""
    from isocenter.tlm_proxy.dicomweb.rendering import draw  # noqa: PLC0415 - as above

    return draw(stored, syntax, shown, n, box)


def _is_drawable(instance: MappedInstance) -> bool:
    return instance.frames > 0 and is_drawable(instance.syntax, instance.presentation)


def _etag(key: FrameKey, version: str, box: tuple[int, int]) -> str:
    """Of the frame, the attributes its picture depends on (version), and the size."""
    parts = "\n".join((*key, version, f"{box[0]},{box[1]}"))
    return f'"t{hashlib.sha256(parts.encode()).hexdigest()[:32]}"'
