"""The Accept header: which form of an answer, in which transfer syntax.

Developer guide, "Getting a DICOM instance" and "... instance frames": the
``transfer-syntax`` is optional, ``*`` is the stored one.  JSON is asked for as
``application/dicom+json``.

Assumed: ``*/*``, ``application/*`` and no header at all take the documented
form; JSON also goes as ``application/json``, as PS3.18 has it; weights are not
compared, the first form that is known wins; anything else is refused (406).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from isocenter.devcloud.healthimaging.errors import NotAcceptableError

__all__ = ["DICOM", "FRAMES", "JSON", "accepted_json", "accepted_transfer_syntax"]

JSON: Final = "application/dicom+json"
DICOM: Final = "application/dicom"
FRAMES: Final = "application/octet-stream"


class _Range(NamedTuple):
    media_type: str
    parameters: dict[str, str]


def accepted_json(header: str | None) -> str:
    """The media type for DICOM JSON; NotAcceptableError."""
    for each in _ranges(header):
        if each.media_type in ("*/*", "application/*", JSON):
            return JSON
        if each.media_type == "application/json":
            return each.media_type
    raise NotAcceptableError(f"Accept must allow {JSON}")


def accepted_transfer_syntax(header: str | None, form: str) -> str | None:
    """The transfer syntax asked for: a UID, ``*``, or None when it is not said.

    ``form`` is DICOM or FRAMES; frames are multipart/related of it.
    """
    for each in _ranges(header):
        if each.media_type == "multipart/related" and form == FRAMES:
            inner = each.parameters.get("type", FRAMES)
        else:
            inner = each.media_type
        if inner == form or each.media_type in ("*/*", "application/*"):
            return each.parameters.get("transfer-syntax")
    wanted = f"multipart/related; type={form}" if form == FRAMES else form
    raise NotAcceptableError(f"Accept must allow {wanted}")


def _ranges(header: str | None) -> list[_Range]:
    if not header or not header.strip():
        return [_Range("*/*", {})]
    found = []
    for part in header.split(","):
        media_type, *rest = (piece.strip() for piece in part.split(";"))
        pairs = (piece.partition("=") for piece in rest)
        # RFC 2045 5.1: a value may be quoted, names go in any case.
        parameters = {
            name.strip().lower(): value.strip().strip('"') for name, _, value in pairs
        }
        found.append(_Range(media_type.lower(), parameters))
    return found
