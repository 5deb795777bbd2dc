"""A frame as a multipart of one part (PS3.18 10.4, RFC 2387). Pure."""

from functools import lru_cache

from isocenter.tlm_proxy.dicomweb.media_types import media_type_of
from isocenter.tlm_proxy.http.envelope import Envelope

BOUNDARY = "isocenter-6f1d0c2b9a7e4853b4d2e07c91f3a685"
"""The same in every answer, so that lengths are known before a byte of the frame
is: that a frame contains it by chance is out of the question."""


@lru_cache(maxsize=64)
def frame_envelope(syntax: str) -> Envelope:
    """What goes around a frame stored in ``syntax``.

    Cornerstone looks for ``Content-Type:`` at the beginning of a line, in this
    case, and for the transfer syntax in it.
    """
    media_type = media_type_of(syntax)
    return Envelope(
        media_type=(
            f'multipart/related; type="{media_type}"; '
            f"transfer-syntax={syntax}; boundary={BOUNDARY}"
        ),
        head=(
            f"--{BOUNDARY}\r\n"
            f"Content-Type: {media_type};transfer-syntax={syntax}\r\n\r\n"
        ).encode(),
        tail=f"\r\n--{BOUNDARY}--\r\n".encode(),
    )
