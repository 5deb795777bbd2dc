"""Does an Accept header take what there is to give? Pure (RFC 9110 12.5.1)."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from isocenter.tlm_proxy.dicomweb.media_types import media_type_of
from isocenter.tlm_proxy.errors import NotAcceptableError

_MAX_ACCEPT = 4096
_ITEM = re.compile(r'(?:[^,"]|"[^"]*")+')
_PART = re.compile(r'(?:[^;"]|"[^"]*")+')
_OCTETS = "application/octet-stream"
_ANY = frozenset({"", "*", "*/*"})
DICOM_JSON = "application/dicom+json"


class MediaRange(NamedTuple):
    """One entry of an Accept header: lower-case type, parameters without quotes."""

    name: str
    parameters: dict[str, str]


def parse_accept(header: str) -> Iterator[MediaRange]:
    """The entries, without those that are refused by ``q=0``."""
    for item in _ITEM.findall(header[:_MAX_ACCEPT]):
        # An item of semicolons alone has no part at all.
        name, *rest = [part.strip() for part in _PART.findall(item)] or [""]
        parameters = {}
        for part in rest:
            key, _, value = part.partition("=")
            parameters[key.strip().lower()] = value.strip().strip('"')
        if name and not _is_refused(parameters.get("q", "1")):
            yield MediaRange(name.lower(), parameters)


def _is_refused(q: str) -> bool:
    try:
        return float(q) == 0
    except ValueError:
        return False


@lru_cache(maxsize=256)
def require_frame(header: str | None, syntax: str) -> None:
    """A multipart of one frame stored in ``syntax`` is acceptable.

    ``transfer-syntax=*`` takes what is stored, and so does application/octet-stream
    without a transfer syntax: by the letter of PS3.18 8.7.3 that would be decoded
    samples, which viewers don't mean (OHIF and cornerstone send either).

    Raises:
        NotAcceptableError: it is not; the text says what there is.
    """
    if header is None or any(
        _takes_frame(entry, syntax) for entry in parse_accept(header)
    ):
        return
    media_type = media_type_of(syntax)
    raise NotAcceptableError(
        f'the frame is there as multipart/related; type="{media_type}"; '
        f"transfer-syntax={syntax} alone"
    )


def _takes_frame(entry: MediaRange, syntax: str) -> bool:
    if entry.name == "*/*":
        return True
    if entry.name not in {"multipart/related", "multipart/*"}:
        return False
    part = entry.parameters.get("type", "").lower()
    # Some clients write the transfer syntax inside the quotes of type.
    part, _, inner = (piece.strip() for piece in part.partition(";"))
    asked = entry.parameters.get("transfer-syntax", inner.rpartition("=")[2])
    if asked not in {"", "*", syntax}:
        return False
    media_type = media_type_of(syntax)
    return part in _ANY | {_OCTETS, media_type, f"{media_type.partition('/')[0]}/*"}


@lru_cache(maxsize=256)
def require(header: str | None, media_type: str) -> None:
    """One answer of ``media_type`` is acceptable.

    Raises:
        NotAcceptableError: it is not.
    """
    takes = {"*/*", f"{media_type.partition('/')[0]}/*", media_type}
    if media_type == DICOM_JSON:
        takes.add("application/json")
    if header is None or any(entry.name in takes for entry in parse_accept(header)):
        return
    raise NotAcceptableError(f"the answer is there as {media_type} alone")
