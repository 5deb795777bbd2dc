"""What is asked of a mutated frame, and which answers to that are good ones."""

import json
import re
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from isocenter.core.codestream import CodestreamError, NotACodestreamError, scan_levels
from isocenter.tlm_proxy.dicomweb.frame_envelope import frame_envelope
from isocenter.tlm_proxy.frames.flight import LEAST_WINDOW


@dataclass(frozen=True)
class Ask:
    """A request; ``levels`` are startLevel and endLevel."""

    kind: str
    method: str
    path: str
    levels: tuple[int, int | None] | None = None
    reduce: int | None = None
    range: str | None = None
    body: bytes = b""
    other: str = ""

    @property
    def query(self):
        pairs = []
        if self.levels:
            pairs.append(f"startLevel={self.levels[0]}")
            if self.levels[1] is not None:
                pairs.append(f"endLevel={self.levels[1]}")
        if self.reduce:
            pairs.append(f"reduce={self.reduce}")
        return "&".join([*pairs, *filter(None, [self.other])])

    @property
    def part(self):
        return self.levels is not None or bool(self.reduce)


@dataclass(frozen=True)
class Answer:
    """An answer; not ``complete`` if the server would break it off."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool

    @property
    def length(self):
        found = self.headers.get("content-length")
        return None if found is None else int(found)


def a_range(rng, size):
    at, last = rng.randrange(size + 3), rng.randrange(size + 3)
    return rng.choice(
        [
            *(f"bytes={at}-", f"bytes={min(at, last)}-{max(at, last)}"),
            *(f"bytes=-{at}", f"bytes={at}-{at}", "bytes=0-0", "bytes=-1"),
            *("bytes=0-1,4-5", f"bytes={'9' * 18}-", "octets=1-2", "bytes=5-2"),
        ]
    )


def asks(rng, sent):
    """One of each kind."""
    frame, instance = sent.frame_path, sent.instance_path
    start = rng.randrange(6)
    levels = (start, rng.choice((None, start, start + rng.randrange(4), 99_999)))
    prefix = (0, rng.randrange(6))
    reduce = rng.randrange(1, 7)
    dicom = f"{instance}/frames/1"
    sample = frame.rpartition("/imageFrame/")[0] + "/getImageFrame"
    body = json.dumps({"imageFrameId": sent.frame_id}).encode()
    size = len(sent.body)
    ranged = rng.choice(({}, {"levels": prefix}, {"levels": levels}, {"reduce": 1}))
    return [
        Ask("frame", "GET", frame),
        Ask("frame", rng.choice(("GET", "HEAD")), frame, levels=levels),
        Ask("frame", "GET", frame, levels=prefix),
        Ask("frame", "GET", frame, reduce=reduce),
        Ask("frame", "GET", frame, range=a_range(rng, size), **ranged),
        Ask("frame", "HEAD", frame),
        Ask("frame", "POST", sample, body=body, levels=rng.choice((None, prefix))),
        Ask("dicomweb", "GET", dicom, reduce=rng.choice((None, reduce))),
        Ask("dicomweb", "GET", dicom, range=a_range(rng, size + 180)),
        Ask("dicomweb", "HEAD", dicom, reduce=rng.choice((None, reduce))),
        Ask(
            "thumbnail",
            "GET",
            f"{instance}/thumbnail",
            other=rng.choice(("", "viewport=16,16", "viewport=40,100")),
        ),
    ]


def levels_of(body):
    try:
        return scan_levels(body).ends if body else NotACodestreamError
    except (CodestreamError, NotACodestreamError) as error:
        return type(error)


def is_problem(answer, statuses):
    """A problem document with one of these statuses."""
    assert answer.status in statuses, (answer.status, answer.body[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.complete
    if answer.body:
        document = json.loads(answer.body)
        assert document["status"] == answer.status
        assert answer.length == len(answer.body)
    return True


def ranged(asked, whole):
    """Status and body of a Range request for bytes that are known (RFC 9110 14)."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked)
    if found is None or found[1] == found[2] == "":
        return 200, whole
    first, last = found[1], found[2]
    if not first:
        count = int(last)
        return (206, whole[-count:]) if count and whole else (416, b"")
    start = int(first)
    if last and int(last) < start:
        return 200, whole
    if start >= len(whole):
        return 416, b""
    return 206, whole[start : int(last) + 1 if last else None]


def enveloped(syntax, body):
    around = frame_envelope(syntax)
    return around.head + body + around.tail


def unwrapped(answer):
    """The one part of a multipart/related (RFC 2046 5.1.1); less if broken off."""
    boundary = re.search(r"boundary=(\S+)$", answer.headers["content-type"])[1]
    head = re.match(
        rb"--%s\r\nContent-Type: \S+\r\n\r\n" % boundary.encode(), answer.body
    )
    assert head is not None
    tail = f"\r\n--{boundary}--\r\n".encode()
    if answer.complete:
        assert answer.body.endswith(tail)
        return answer.body[head.end() : -len(tail)]
    return answer.body[head.end() :].removesuffix(tail)


def check_length(ask, answer, sent):
    if answer.length is None:
        # Only where the end could not be known in time.
        assert not answer.complete or sent.size is None or ask.levels, ask
        return
    if ask.method == "HEAD" or answer.status == 304:
        assert not answer.body
    elif answer.complete:
        assert len(answer.body) == answer.length
    else:
        # Equal: a codestream that turned out broken in its last bytes.
        assert len(answer.body) < answer.length + bool(ask.part)


def is_of_the_frame(ask, answer, part, sent):
    """``part`` is what was asked of the frame."""
    body = sent.body
    if not answer.complete:
        assert sent.stop is not None or ask.part, "broken off for no reason"
        assert part in body
        assert ask.levels or body.startswith(part)
    elif ask.levels:
        known = levels_of(body)
        assert part in body
        if isinstance(known, tuple) and known[-1] <= len(body):
            start, end = ask.levels
            begin = known[start - 1] if start else 0
            stop = known[end] if end is not None and end < len(known) else len(body)
            assert part == body[begin:stop]
        elif not ask.levels[0]:
            assert body.startswith(part)
    elif ask.reduce:
        assert body.startswith(part)
        assert bool(part) == bool(body)
    else:
        assert part == body


def refusals(ask, sent):
    """Statuses of good reasons not to answer with the frame."""
    allowed = set()
    if ask.range:
        allowed.add(416)
    if ask.levels:
        known = levels_of(sent.body)
        broken = not isinstance(known, tuple) or known[-1] > len(sent.body)
        allowed |= {400, 416, 502} if broken or sent.stop is not None else {416}
        if len(sent.body) > LEAST_WINDOW:
            # The level may lie past what is read ahead of a frame not kept.
            allowed.add(502)
    if ask.reduce and sent.size is None:
        allowed.add(502)
    return allowed


def check(ask, answer, sent):
    """The answer is a good one to what was asked of what was sent."""
    faulty = {502} if sent.stop is not None else set()
    if ask.kind == "thumbnail":
        if answer.status != 200:
            # A reduced part that the frame turned out not to have.
            cut = {502} if sent.size is None else set()
            return is_problem(answer, {404} | faulty | cut)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.length == len(answer.body)
        with Image.open(BytesIO(answer.body)) as image:
            image.load()
        return True
    if answer.status >= 400:
        return is_problem(answer, refusals(ask, sent) | faulty)
    check_length(ask, answer, sent)
    if ask.method == "HEAD":
        assert answer.status == 200
        if not ask.part and sent.stop is None:
            around = enveloped(sent.syntax, b"") if ask.kind == "dicomweb" else b""
            known = len(sent.body) + len(around)
            assert answer.length in ({known} if sent.size else {known, None})
        return True
    if answer.status == 206:
        return check_range(ask, answer, sent)
    part = unwrapped(answer) if ask.kind == "dicomweb" else answer.body
    is_of_the_frame(ask, answer, part, sent)
    return True


def check_range(ask, answer, sent):
    first, last, total = map(
        int,
        re.fullmatch(
            r"bytes (\d+)-(\d+)/(\d+)", answer.headers["content-range"]
        ).groups(),
    )
    assert answer.length == last - first + 1 <= total
    if ask.part:
        assert answer.body in sent.body
        return True
    whole = sent.body
    if ask.kind == "dicomweb":
        whole = enveloped(sent.syntax, whole)
    status, wanted = ranged(ask.range, whole)
    assert total == len(whole)
    assert status == 206
    assert whole[first : last + 1] == wanted
    assert answer.body == wanted if answer.complete else wanted.startswith(answer.body)
    return True
