"""Which bytes HealthImaging's pixel checksum is over. Pure.

Source: HealthImaging developer guide, "Pixel data verification" and "Supported
transfer syntaxes": frames that an import transcodes to the data store's lossless
format are summed over their decoded samples; frames that it keeps as received are
summed over those very bytes.
"""

import zlib

from isocenter.core.healthimaging.image_set import HTJ2K_LOSSLESS_RPCL

JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
TRANSCODED = frozenset({HTJ2K_LOSSLESS_RPCL, JPEG_2000_LOSSLESS})
"""Syntaxes that HealthImaging itself encodes into."""


def checksum(data: bytes | memoryview) -> int:
    """Unsigned CRC-32, as in PixelDataChecksumFromBaseToFullResolution."""
    return zlib.crc32(data)


def is_intact(
    syntax: str, expected: int, stored: bytes, decoded: bytes | memoryview
) -> bool:
    """The frame's bytes are those that HealthImaging summed.

    Args:
        syntax: StoredTransferSyntaxUID.
        expected: the recorded checksum of full resolution.
        stored: GetImageFrame's body.
        decoded: samples, little endian in their BitsAllocated container,
            interleaved.
    """
    if syntax in TRANSCODED:
        return checksum(decoded) == expected
    # A kept frame may say ChecksumType DECOMPRESSED, which is not documented; one
    # sum that fits proves the bytes either way.
    return checksum(stored) == expected or checksum(decoded) == expected
