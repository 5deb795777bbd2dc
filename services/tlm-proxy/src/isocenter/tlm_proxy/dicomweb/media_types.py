"""The media type of a stored transfer syntax (PS3.18 8.7.3). Pure."""

_OCTETS = "application/octet-stream"

HTJ2K = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203))
JPEG_2000 = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

_OF_GROUP_4 = {
    "image/jpeg": ("50", "51", "57", "70"),
    "image/jls": ("80", "81"),
    "image/jp2": ("90", "91"),
    "image/jpx": ("92", "93"),
    "image/jphc": ("201", "202", "203"),
    "image/jxl": ("110", "111", "112"),
    "video/mpeg": ("100", "100.1", "101", "101.1"),
    "video/mp4": (
        *("102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1", "106"),
        *("106.1", "107", "108"),
    ),
}
"""By the last component of 1.2.840.10008.1.2.4.*"""
_MEDIA_TYPES = {
    f"1.2.840.10008.1.2.4.{last}": media_type
    for media_type, lasts in _OF_GROUP_4.items()
    for last in lasts
}


def media_type_of(syntax: str) -> str:
    """The media type of frames stored in ``syntax``; bytes for an unknown one."""
    if syntax == "1.2.840.10008.1.2.5":
        return "image/dicom-rle"
    return _MEDIA_TYPES.get(syntax, _OCTETS)
