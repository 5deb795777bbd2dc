"""Mutated codestreams through the real process over HTTP/1.1: pipelined requests,
the server's short way from the cache, and frames that one worker hands another.

Answers follow one another on a connection, so one with a wrong length shows in the
next. ``MUTATION`` and ``SOAK`` as in test_mutated_codestreams.py.
"""

import asyncio
import os
import random
import time

import pytest
from faults.tlm_proxy.answers import asks, check
from faults.tlm_proxy.http_client import Connection
from faults.tlm_proxy.progress import chosen, tell

MUTATIONS = int(os.environ.get("SOAK", "0")) * 50 or 25
HANG_S = 5.0
_OFFSET = 10_000_000
"""Other mutations than those of the test by ASGI."""


async def one(connections, mutations, number, answers):
    """All that is asked of a mutation: by several at once, then of the cache."""
    sent = mutations[number]
    rng = random.Random(-number)
    todo = asks(rng, sent)
    cold = [rng.sample(todo, rng.randrange(1, 5)) for _ in connections]
    for batches in (cold, [todo] * len(connections)):
        async with asyncio.timeout(HANG_S):
            given = await asyncio.gather(
                *(
                    connection.ask(batch)
                    for connection, batch in zip(connections, batches, strict=True)
                )
            )
        for batch, found in zip(batches, given, strict=True):
            for ask, answer in zip(batch, found, strict=True):
                try:
                    check(ask, answer, sent)
                except AssertionError as error:
                    error.add_note(f"mutation {number}: {ask}\n{answer}"[:2_000])
                    raise
                answers[answer.status] = answers.get(answer.status, 0) + 1


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.timeout(120 + MUTATIONS)
def test_mutated_over_http(start_proxy, mutations, workers):
    answers = {}
    numbers = chosen("MUTATION", _OFFSET, MUTATIONS)

    async def scene(port):
        connections = [Connection(port) for _ in range(2)]
        for number in numbers:
            try:
                await one(connections, mutations, number, answers)
            except BaseException:
                tell(f"mutation {number} failed; alone: MUTATION={number}")
                raise
        for connection in connections:
            connection.close()

    with start_proxy(
        TLM_PROXY_WORKERS=str(workers), TLM_PROXY_CACHE_MAX_BYTES=str(16 << 20)
    ) as proxy:
        began = time.monotonic()
        asyncio.run(scene(proxy.port))
        rate = len(numbers) / (time.monotonic() - began)
        tell(f"{workers} workers, {len(numbers)} mutations, {rate:.0f}/s {answers}")
        assert not proxy.unexpected()
    assert set(answers) <= {200, 206, 304, 400, 404, 416, 502}
    if len(numbers) > 1:
        assert {200, 206, 404, 416, 502} <= set(answers)
