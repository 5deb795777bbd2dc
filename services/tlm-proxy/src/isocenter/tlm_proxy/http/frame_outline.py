"""Status, headers and bytes of an answer with a frame, decided. Pure.

Ranges are of what a 200 would carry, an envelope included; while its length is
not known, Range is ignored (RFC 9110 section 14.2).
"""

from dataclasses import dataclass

from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.frames.selection import LevelRange, Selection
from isocenter.tlm_proxy.http.conditions import byte_range, entity_tag, unchanged
from isocenter.tlm_proxy.http.envelope import EnvelopeOf
from isocenter.tlm_proxy.http.hot import HotRequest

LEVELS_MEDIA_TYPE = "application/octet-stream"
"""A range of levels is not an image by itself; the AWS sample's type for it."""
IMMUTABLE = b"private, max-age=31536000, immutable"
"""A frame never changes under its id. Private: reading it takes a token."""
FULL, PARTIAL, NOT_MODIFIED = 200, 206, 304


@dataclass(frozen=True)
class FrameQuestion:
    """What is asked.

    Attributes:
        request: method and conditions.
        key: the frame.
        asked: which of its bytes; None for all.
        envelope: what to put around them; None for nothing.
    """

    request: HotRequest
    key: FrameKey
    asked: Selection | None
    envelope: EnvelopeOf | None

    @property
    def tag(self) -> bytes:
        """The entity tag of the answer."""
        return entity_tag(self.key, self.asked, enveloped=self.envelope is not None)

    @property
    def cacheable(self) -> bool:
        """Conditions and caching mean something: not to the sample's POST."""
        return self.request.method != "POST"

    @property
    def held(self) -> bool:
        """The client has what it asks for."""
        held = self.request.header(b"if-none-match") if self.cacheable else None
        return held is not None and unchanged(held, self.tag)


@dataclass(slots=True)
class Outline:
    """What is to be sent.

    Attributes:
        status: HTTP status.
        headers: all of them.
        head: bytes before the frame's.
        start: offset of the first of the frame's bytes.
        stop: offset past the last one; None while not known.
        tail: bytes after the frame's.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    head: bytes
    start: int
    stop: int | None
    tail: bytes


def not_modified(question: FrameQuestion) -> Outline:
    """304, before the frame is here."""
    headers = [(b"etag", question.tag)]
    if question.envelope is None:
        headers.append((b"cache-control", IMMUTABLE))
    return Outline(NOT_MODIFIED, headers, b"", 0, 0, b"")


def outline(
    question: FrameQuestion, media_type: str, start: int, stop: int | None
) -> Outline:
    """The answer with bytes ``start`` to ``stop`` of a frame.

    Args:
        question: what is asked.
        media_type: the frame's.
        start: offset of the first byte asked for.
        stop: offset past the last one; None while not known.

    Raises:
        RangeUnsatisfiableError: Range begins past the end.
    """
    head = tail = b""
    cache_control = IMMUTABLE
    if question.envelope is not None:
        around = question.envelope(media_type)
        head, tail = around.head, around.tail
        cache_control = around.cache_control.encode("latin-1")
        media_type = around.media_type
    elif isinstance(question.asked, LevelRange):
        media_type = LEVELS_MEDIA_TYPE
    headers = [
        (b"content-type", media_type.encode("latin-1", "replace")),
        (b"x-content-type-options", b"nosniff"),
    ]
    out = Outline(FULL, headers, head, start, stop, tail)
    if question.cacheable:
        validators = [(b"etag", question.tag), (b"cache-control", cache_control)]
        if question.request.header(b"if-none-match") == b"*":
            return Outline(NOT_MODIFIED, validators, b"", 0, 0, b"")
        headers += (*validators, (b"accept-ranges", b"bytes"))
    if out.stop is None:
        return out
    length = len(head) + out.stop - start + len(tail)
    if question.request.method == "GET":
        length = _narrow(out, question, length)
    headers.append((b"content-length", b"%d" % length))
    return out


def plain_headers(
    media_type: str, tag: bytes, cache_control: bytes, length: int
) -> bytes:
    """The headers that ``outline`` gives to a GET without conditions, as bytes."""
    return (
        b"content-type: %b\r\nx-content-type-options: nosniff\r\netag: %b\r\n"
        b"cache-control: %b\r\naccept-ranges: bytes\r\ncontent-length: %d\r\n"
        % (media_type.encode("latin-1", "replace"), tag, cache_control, length)
    )


def bare_headers(media_type: str, length: int) -> bytes:
    """The headers that ``outline`` gives to a POST, as bytes."""
    return (
        b"content-type: %b\r\nx-content-type-options: nosniff\r\n"
        b"content-length: %d\r\n" % (media_type.encode("latin-1", "replace"), length)
    )


def _narrow(out: Outline, question: FrameQuestion, length: int) -> int:
    """Leave of ``out`` what Range asks for; its length."""
    request = question.request
    wanted = request.header(b"range")
    if wanted is None or out.stop is None:
        return length
    found = byte_range(wanted, request.header(b"if-range"), question.tag, length)
    if found is None:
        return length
    first, last = found
    before, size = len(out.head), out.stop - out.start
    after = before + size
    out.status = PARTIAL
    out.headers.append(
        (b"content-range", b"bytes %d-%d/%d" % (first, last - 1, length))
    )
    out.head = out.head[first:last]
    out.tail = out.tail[max(first - after, 0) : max(last - after, 0)]
    out.stop = out.start + min(max(last - before, 0), size)
    out.start += min(max(first - before, 0), size)
    return last - first
