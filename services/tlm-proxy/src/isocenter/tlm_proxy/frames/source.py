"""Where frames come from, as the flights see it."""

from collections.abc import AsyncIterator
from typing import Protocol

from isocenter.tlm_proxy.frames.key import FrameKey


class ArrivingFrame(Protocol):
    """A frame that has begun to arrive.

    Attributes:
        media_type: as HealthImaging gave it.
        size: bytes of the whole frame; None if not announced.
    """

    @property
    def media_type(self) -> str: ...  # noqa: D102 - see Attributes

    @property
    def size(self) -> int | None: ...  # noqa: D102 - see Attributes

    def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes as they arrive, to the end; raises IsocenterError."""

    def close(self) -> None:
        """Stop its arriving, if it hasn't all arrived; harmless when done twice."""


class FrameSource(Protocol):
    """HealthImaging."""

    async def frame(self, key: FrameKey, client: str) -> ArrivingFrame:
        """The frame, once it has begun to arrive; raises IsocenterError.

        Args:
            key: which frame.
            client: on whose account the call is made (fairness between clients).
        """
