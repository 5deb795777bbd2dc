"""Mutated codestreams through the whole application, by ASGI: an answer made of the
frame's own bytes or a problem document, in time, and never 500.

The number of a mutation is its seed: ``MUTATION=4711`` runs one alone,
``MUTATION=4711-`` goes on from there. ``SOAK=n`` runs n thousand.
"""

import asyncio
import logging
import os
import random
import time
from dataclasses import replace
from traceback import format_exc

import pytest
import uvloop
from faults.tlm_proxy.answers import Answer, asks, check
from faults.tlm_proxy.progress import chosen, tell
from prometheus_client import CollectorRegistry

from isocenter.core.errors import UnavailableError
from isocenter.tlm_proxy.access.tokens import build_access
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.dicomweb.sources import ImageSetSummary
from isocenter.tlm_proxy.http.app import create_app
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings

SOAK = int(os.environ.get("SOAK", "0"))
MUTATIONS = SOAK * 1_000 or 500
HANG_S = 5.0
CACHE = 6 << 20
MOST_FAILED = 20


class Arriving:
    """A mutation as it arrives from HealthImaging."""

    def __init__(self, sent):
        self.media_type = sent.media_type
        self.size = sent.size
        self._sent = sent

    async def pieces(self):
        sent = self._sent
        for start, end in zip(sent.pieces, sent.pieces[1:], strict=False):
            if sent.stop is not None and end > sent.stop:
                raise UnavailableError("broke off")
            yield sent.body[start:end]
            await asyncio.sleep(0)

    def close(self):
        pass


class Upstream:
    """HealthImaging in memory."""

    region, regions = "eu-west-1", ("eu-west-1",)
    dicomweb = None

    def __init__(self, mutations):
        self.image_sets = self
        self.mutations = mutations
        self.sent = None

    async def search(self, store, attribute, value, client):
        found = self.mutations.image_sets(value)
        return [ImageSetSummary(each, "1", True, {}) for each in found]

    async def metadata(self, store, image_set_id, version, client):
        return self.mutations.document(image_set_id)

    async def frame(self, key, client):
        assert key.frame_id == self.sent.frame_id
        return Arriving(self.sent)

    async def aclose(self):
        pass

    def problem(self):
        return None


async def call(app, ask):
    headers = [(b"host", b"proxy")]
    if ask.range:
        headers.append((b"range", ask.range.encode()))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": ask.method,
        "path": ask.path,
        "raw_path": ask.path.encode(),
        "query_string": ask.query.encode(),
        "headers": headers,
        "root_path": "",
        "scheme": "http",
    }
    told, pieces, complete = {}, [], False
    asked = False

    async def receive():
        nonlocal asked
        if asked:
            await asyncio.get_running_loop().create_future()
        asked = True
        return {"type": "http.request", "body": ask.body, "more_body": False}

    async def send(message):
        nonlocal complete
        if message["type"] == "http.response.start":
            told.update(message)
            return
        pieces.append(bytes(message.get("body", b"")))
        complete = not message.get("more_body", False)

    await app(scope, receive, send)
    sent = {k.decode(): v.decode("latin-1") for k, v in told["headers"]}
    assert len(sent) == len(told["headers"]), "a header twice"
    return Answer(told["status"], sent, b"".join(pieces), complete)


def at_once(app, ask):
    """What the server's short way gives for a plain GET; None if it doesn't."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": ask.path,
        "query_string": ask.query.encode(),
        "headers": [],
    }
    found = app.immediate(scope, ask.path)
    if found is None:
        return None
    lines = [line.split(": ", 1) for line in found.headers.decode().splitlines()]
    return Answer(200, dict(lines), b"".join(map(bytes, found.body)), complete=True)


def same(again, answer):
    """But for a length that was not known when it was sent first."""
    length = {} if answer.length else {"content-length": str(len(answer.body))}
    headers = answer.headers | length
    return not answer.complete or again == replace(answer, headers=headers)


class Stage:
    """The application, with and without a cache."""

    def __init__(self, mutations):
        self.mutations = mutations
        self.upstream = Upstream(mutations)
        self.contexts = []
        for budget in (CACHE, 0):
            settings = Settings(auth_mode="none", cache_max_bytes=budget)
            metrics = Metrics(CollectorRegistry())
            access = build_access(settings, metrics)
            self.contexts.append(
                ProcessContext(settings, metrics, self.upstream, access)
            )
        self.apps = [create_app(context) for context in self.contexts]
        self.answers = {}

    async def one(self, number):
        """All that is asked of one mutation."""
        sent = self.upstream.sent = self.mutations[number]
        rng = random.Random(-number)
        app = self.apps[number % 4 == 3]
        todo = asks(rng, sent)
        together = rng.sample(todo, rng.randrange(1, 4))
        async with asyncio.timeout(HANG_S):
            first = await asyncio.gather(*(call(app, ask) for ask in together))
        for ask, answer in zip(together, first, strict=True):
            self.checked(number, ask, answer, sent)
        for ask in todo:
            async with asyncio.timeout(HANG_S):
                answer = await call(app, ask)
            self.checked(number, ask, answer, sent)
            if ask.method == "GET" and not ask.range:
                again = at_once(app, ask)
                assert again is None or same(again, answer), (number, ask)

    def checked(self, number, ask, answer, sent):
        try:
            check(ask, answer, sent)
        except AssertionError as error:
            error.add_note(f"mutation {number}: {ask}\n{answer.status}")
            error.add_note(f"{answer.headers} {answer.body[:300]!r}")
            raise
        outcome = answer.status if answer.complete else "broken off"
        key = (ask.kind, outcome)
        self.answers[key] = self.answers.get(key, 0) + 1


@pytest.mark.timeout(max(120, MUTATIONS // 20))
def test_mutated_codestreams(mutations, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    # One line a mutation, which pytest would keep.
    caplog.set_level(logging.CRITICAL, "isocenter")
    numbers = chosen("MUTATION", 0, MUTATIONS)
    stage = Stage(mutations)
    under_way = os.open(tmp_path / "mutation", os.O_CREAT | os.O_WRONLY)
    began, cpu = time.monotonic(), time.process_time()
    slowest = (0.0, 0)
    failed = []

    async def scene():
        nonlocal slowest
        for number in numbers:
            # A crash inside a decoder leaves its number here.
            os.pwrite(under_way, b"%12d\n" % number, 0)
            start = time.monotonic()
            try:
                await stage.one(number)
            except Exception:  # noqa: BLE001 - told, counted, and failed with below
                failed.append(number)
                tell(f"failed; alone: MUTATION={number}\n{format_exc(-3)}")
                assert len(failed) < MOST_FAILED, failed
            took = time.monotonic() - start
            slowest = max(slowest, (took, number))
            assert took < HANG_S, f"mutation {number} took {took:.1f} s"
            if number % 5_000 == 4_999:
                rate = (number - numbers[0]) / (time.monotonic() - began)
                tell(f"{number + 1} mutations, {rate:.0f}/s, slowest {slowest}")
        for context in stage.contexts:
            await context.aclose()

    # The loop that the proxy runs on.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())
    os.close(under_way)
    count, taken = len(numbers), time.monotonic() - began
    requests = sum(stage.answers.values())
    tell(f"{count} mutations, {requests} requests, {count / taken:.0f}/s,")
    tell(f"{1000 * (time.process_time() - cpu) / count:.1f} ms of CPU each")
    tell(f"slowest: {slowest[0]:.2f} s, number {slowest[1]}; {stage.answers}")
    assert not failed
    if count > 1_000:
        for kind in ("frame", "dicomweb"):
            for status in (200, 206, 416, 502, "broken off"):
                assert stage.answers.get((kind, status), 0) > count // 1_000
        for status in (200, 404):
            assert stage.answers["thumbnail", status] > count // 50
