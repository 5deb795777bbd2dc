"""Whatever a request for a warm frame holds, it is answered, and with sense."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from isocenter.tlm_proxy.access.tokens import OpenAccess
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.errors import BadRequestError
from isocenter.tlm_proxy.frames.frame import Frame
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.http.app import create_app
from isocenter.tlm_proxy.http.hot import HotRequest
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.upstream.healthimaging import Upstream

PATH = f"/datastore/{'d' * 32}/imageSet/{'5' * 32}/imageFrame/{'a' * 32}"
PLAIN = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=40)
VALUES = st.one_of(
    PLAIN,
    st.from_regex(r"bytes=[0-9]{0,6}-[0-9]{0,6}", fullmatch=True),
    st.from_regex(r'(W/)?"[0-9a-z.]{0,80}"|\*', fullmatch=True),
)
NAMES = st.sampled_from(["range", "if-range", "if-none-match", "origin", "accept"])
QUERIES = st.one_of(
    PLAIN,
    st.lists(
        st.tuples(
            st.sampled_from(["startLevel", "endLevel", "reduce", "token", "x"]),
            st.one_of(PLAIN, st.integers(-1, 7).map(str)),
        ).map("=".join),
        max_size=4,
    ).map("&".join),
)


@pytest.fixture(scope="module")
def edge(htj2k):
    """The application with one warm frame; HealthImaging is not there."""
    told = Settings(auth_mode="none", cors_allow_origins=("https://viewer.example",))
    metrics = Metrics(CollectorRegistry())
    upstream = Upstream(told, metrics, "eu-west-1", {})
    context = ProcessContext(told, metrics, upstream, OpenAccess())
    ids = ("d" * 32, "5" * 32, "a" * 32)
    context.frames._cache.put(FrameKey("eu-west-1", *ids), Frame(htj2k, "image/jphc"))
    yield create_app(context)
    asyncio.run(context.aclose())


def scope_of(method, query, headers):
    return {
        "type": "http",
        "method": method,
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "query_string": query.encode("latin-1"),
        "headers": [(n.encode(), v.encode("latin-1")) for n, v in headers],
    }


async def ask(edge, scope):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.disconnect"}

    await edge(scope, receive, send)
    start, *bodies = sent
    return start, b"".join(message["body"] for message in bodies)


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD"]),
    query=QUERIES,
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=3),
)
def test_warm_frames(edge, htj2k, method, query, headers):
    scope = scope_of(method, query, headers)
    start, body = asyncio.run(ask(edge, scope))
    told = dict(start["headers"])
    assert start["status"] in {200, 206, 304, 400, 416}
    if method == "HEAD" or start["status"] == 304:
        assert body == b""
    else:
        assert int(told[b"content-length"]) == len(body)
    if method == "GET" and start["status"] in {200, 206}:
        assert bytes(body) in htj2k
    at_once = edge.immediate(scope_of(method, query, headers), PATH)
    if at_once is not None and method == "GET":
        assert start["status"] == 200
        assert b"".join(at_once.body) == body
        pairs = [line.split(b": ", 1) for line in at_once.headers.splitlines()]
        assert pairs == [list(pair) for pair in start["headers"]]


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        (b"", "a", None),
        (b"a=1", "a", "1"),
        (b"a=", "a", ""),
        (b"a", "a", ""),
        (b"b=1", "a", None),
        (b"%61=%20x+y", "a", " x y"),
    ],
)
def test_queries(query, name, value):
    request = HotRequest({"query_string": query}, None, "GET", ())
    assert request.query(name) == value


@pytest.mark.parametrize("query", [b"a=1&a=1", b"&".join([b"x=1"] * 51)])
def test_queries_that_can_not_be_read(query):
    with pytest.raises(BadRequestError):
        HotRequest({"query_string": query}, None, "GET", ()).query("a")
