"""HTTP/1.1 by hand: requests as they are written, answers strictly read."""

import asyncio
import re

from faults.tlm_proxy.answers import Answer

_STATUS = re.compile(r"HTTP/1\.1 ([0-9]{3}) ?[^\r\n]*")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)")
_NO_BODY = (204, 304)


class NotHttpError(AssertionError):
    """What came is not HTTP/1.1."""


async def read_answer(reader, method):  # noqa: C901 - each way to end
    """The next answer; None if the connection ended before it.

    Not ``complete`` if the connection ended within it.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise NotHttpError(f"half a head: {error.partial[:200]!r}") from error
        return None
    except ConnectionError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    status = _STATUS.fullmatch(first)
    if status is None:
        raise NotHttpError(f"no status line: {first[:200]!r}")
    headers = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None or field[1].lower() in headers:
            raise NotHttpError(f"a bad or repeated header: {line[:200]!r}")
        headers[field[1].lower()] = field[2]
    number = int(status[1])
    pieces: list[bytes] = []
    complete = True
    if method != "HEAD" and number not in _NO_BODY and number >= 200:
        try:
            async for piece in _body(reader, headers):
                pieces.append(piece)  # noqa: PERF401 - what came before an error counts
        except asyncio.IncompleteReadError as error:
            pieces.append(error.partial)
            complete = False
        except ConnectionError:
            complete = False
    return Answer(number, headers, b"".join(pieces), complete)


async def _body(reader, headers):
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"] != "chunked" or "content-length" in headers:
            raise NotHttpError(f"unclear length: {headers}")
        while True:
            size = int((await reader.readuntil(b"\r\n"))[:-2], 16)
            if size:
                yield await reader.readexactly(size)
            if await reader.readexactly(2) != b"\r\n":
                raise NotHttpError("a chunk without its end")
            if not size:
                return
    elif "content-length" in headers:
        left = int(headers["content-length"])
        while left:
            piece = await reader.read(left)
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece
    else:
        yield await reader.read()


def written(ask):
    """A request as bytes."""
    target = f"{ask.path}?{ask.query}" if ask.query else ask.path
    lines = [f"{ask.method} {target} HTTP/1.1", "Host: proxy"]
    if ask.range:
        lines.append(f"Range: {ask.range}")
    if ask.method == "POST":
        lines.append("Content-Type: application/json")
        lines.append(f"Content-Length: {len(ask.body)}")
    return "\r\n".join([*lines, "", ""]).encode() + ask.body


class Connection:
    """A connection that pipelines, and is opened anew where the server ended it."""

    def __init__(self, port):
        self._port = port
        self._writer = None

    async def ask(self, todo):
        """The answers to requests that are sent all at once."""
        found = []
        while len(found) < len(todo):
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, limit=1 << 20
                )
            before = len(found)
            rest = todo[before:]
            self._writer.write(b"".join(map(written, rest)))
            for ask in rest:
                answer = await read_answer(self._reader, ask.method)
                if answer is not None:
                    found.append(answer)
                if answer is None or not answer.complete:
                    self.close()
                    break
            # What ends a connection is an answer that is broken off, and no other.
            assert len(found) > before, "the connection ended before an answer"
        return found

    def close(self):
        """End it."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
