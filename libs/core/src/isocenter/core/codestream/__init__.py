"""HTJ2K and JPEG 2000 codestreams: the markers, and where each level ends.

Pure: bytes in, numbers out (ISO/IEC 15444-1 Annex A, 15444-15 for HTJ2K). No
sample is decoded here.
"""

from isocenter.core.codestream.levels import Levels, LevelScanner, scan_levels
from isocenter.core.codestream.main_header import MainHeader, MainHeaderParser
from isocenter.core.codestream.markers import (
    Cod,
    CodestreamError,
    NotACodestreamError,
    Siz,
    Sot,
    Tlm,
)

__all__ = [
    "Cod",
    "CodestreamError",
    "LevelScanner",
    "Levels",
    "MainHeader",
    "MainHeaderParser",
    "NotACodestreamError",
    "Siz",
    "Sot",
    "Tlm",
    "scan_levels",
]
