"""The warnings of an import job (developer guide, "Warning codes").

An instance with a warning is imported; what it lacks is said by the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["InstanceWarning", "PixelDataError", "WarningReason"]


class WarningReason(Enum):
    """Code and name as they stand in warning.ndjson."""

    ELEMENTS_DISCARDED = (45062, "ElementsDiscarded")
    # The pixel data is kept as one blob in its own transfer syntax.
    TRANSCODING_EXCEPTION = (45312, "TranscodingException")
    UNSUPPORTED_TRANSFER_SYNTAX = (45344, "UnsupportedTransferSyntax")
    # No frame of the instance can be had.
    FRAMES_EXTRACTION_FAILURE = (45328, "FramesExtractionFailure")
    FRAME_NUMBER_MISMATCH = (45329, "FrameNumberMismatch")
    INVALID_OFFSET_TABLE = (45330, "InvalidOffsetTable")
    INVALID_UID = (45570, "InvalidUID")

    @property
    def keeps_blob(self) -> bool:
        """Whether the pixel data can still be had, as one blob."""
        return self in (
            WarningReason.TRANSCODING_EXCEPTION,
            WarningReason.UNSUPPORTED_TRANSFER_SYNTAX,
        )


@dataclass(frozen=True)
class InstanceWarning:
    """One warning of one instance."""

    reason: WarningReason
    message: str

    def to_dict(self) -> dict[str, Any]:
        """The warning as a line of warning.ndjson carries it."""
        code, name = self.reason.value
        return {"warning_reason_code": code, "type": name, "message": self.message}


class PixelDataError(Exception):
    """Pixel data that cannot be stored as frames; carries the warning."""

    def __init__(self, reason: WarningReason, message: str) -> None:
        super().__init__(message)
        self.warning = InstanceWarning(reason, message)
