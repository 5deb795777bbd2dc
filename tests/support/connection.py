"""One connection to a server, written and read byte by byte."""

import asyncio
import re

_LENGTH = re.compile(rb"content-length: ([0-9]+)\r\n", re.IGNORECASE)


async def connect(s):
    """Reader and writer of a new connection to a stage's server."""
    return await asyncio.open_connection("127.0.0.1", int(s.url.rpartition(":")[2]))


async def answer(reader):
    """Head and body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length else b""
    return head, body
