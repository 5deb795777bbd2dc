"""What is put around a frame's bytes."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Envelope:
    """Bytes before and after a frame's own, such as a multipart's boundaries.

    Attributes:
        media_type: of the whole answer.
        head: bytes before the frame's.
        tail: bytes after them.
        cache_control: for answers under names that are not HealthImaging's frame
            ids: which frame they mean may change with an image set's version, so
            a client asks again after a while, and is told 304.
    """

    media_type: str
    head: bytes
    tail: bytes
    cache_control: str = "private, max-age=3600"


EnvelopeOf = Callable[[str], Envelope]
"""The envelope for a frame of this media type."""
