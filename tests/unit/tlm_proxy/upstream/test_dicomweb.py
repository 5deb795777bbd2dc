"""HealthImaging's DICOMweb service."""

import gzip
import json

import pytest
from aiohttp import web

from isocenter.core.errors import AwsError, MalformedError, NotFoundError, RefusedError
from isocenter.tlm_proxy.errors import (
    AnswerTooLargeError,
    BadRequestError,
    OverloadedError,
)
from isocenter.tlm_proxy.frames.key import Store

STUDIES = [{"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}]
QUERY = [("PatientName", "*Secret Name*"), ("limit", "5")]


def gzipped(_):
    return web.Response(
        body=gzip.compress(json.dumps(STUDIES).encode()),
        headers={"Content-Encoding": "gzip", "Content-Type": "application/dicom+json"},
    )


def test_searching(run, bench, ok, store):
    async def play():
        async with bench(ok(json.dumps(STUDIES).encode())) as b:
            web_source = b.upstream.dicomweb
            assert await web_source.search(store, "studies", QUERY, "a") == STUDIES
            ((request, body),) = b.fake.requests
            assert request.method == "GET"
            assert request.raw_path == (
                f"/datastore/{store.datastore_id}/studies"
                "?PatientName=%2ASecret%20Name%2A&limit=5"
            )
            assert body == b""
            assert request.headers["Accept"] == "application/dicom+json"
            assert request.headers["Accept-Encoding"] == "gzip"
            assert "/medical-imaging/" in request.headers["Authorization"]
            assert (
                b.metric(
                    "metadata_calls_total", operation="DICOMweb search", outcome="200"
                )
                == 1
            )
            # it has its own guard
            labels = {"region": "eu-west-1", "service": "dicomweb"}
            assert b.metric("upstream_wait_seconds_count", **labels) == 1
            assert b.metric("upstream_rate", **labels) == 50

    run(play)


@pytest.mark.parametrize("name", ["search", "metadata"])
@pytest.mark.parametrize(
    ("answer", "found"),
    [(gzipped, STUDIES), (lambda _: web.Response(status=204), [])],
)
def test_answers(run, bench, store, name, answer, found):
    async def play():
        async with bench(answer) as b:
            ask = getattr(b.upstream.dicomweb, name)
            assert await ask(store, "studies/1/series/2/metadata", [], "a") == found
            labels = {"region": "eu-west-1", "service": "dicomweb"}
            assert b.metric("upstream_in_flight", **labels) == 0

    run(play)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((404, "ResourceNotFoundException"), NotFoundError),
        ((400, "ValidationException"), RefusedError),
        ((429, "ThrottlingException"), OverloadedError),
    ],
)
def test_no_error_repeats_what_was_searched_for(
    run, bench, fail, store, caplog, answer, kind
):
    caplog.set_level("DEBUG", "isocenter")

    async def play():
        async with bench(fail(*answer)) as b:
            with pytest.raises(kind) as caught:
                await b.upstream.dicomweb.search(store, "studies", QUERY, "a")
            assert store.datastore_id in str(caught.value)
            for words in ("Secret", "said by HealthImaging"):
                assert words not in str(caught.value)
                assert words not in caplog.text

    run(play)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", MalformedError),
        (b'["a"]', MalformedError),
        (b"<html>", MalformedError),
        (b"[" + b" " * 5000 + b"]", AnswerTooLargeError),
    ],
)
def test_answers_that_are_none(run, bench, ok, store, body, kind):
    async def play():
        async with bench(ok(body), upstream_json_max_bytes=4096) as b:
            with pytest.raises(kind, match="data store"):
                await b.upstream.dicomweb.search(store, "studies", [], "a")
            labels = {"region": "eu-west-1", "service": "dicomweb"}
            assert b.metric("upstream_in_flight", **labels) == 0

    run(play)


def test_what_is_not_asked_at_all(run, bench, ok, store):
    async def play():
        async with bench(ok(b"[]")) as b:
            ask = b.upstream.dicomweb.search
            with pytest.raises(BadRequestError):
                await ask(store, "studies/../../x", [], "a")
            with pytest.raises(NotFoundError, match="not served"):
                await ask(Store("us-west-2", store.datastore_id), "studies", [], "a")
            assert not b.fake.requests
            labels = {"region": "eu-west-1", "service": "dicomweb"}
            assert b.metric("upstream_in_flight", **labels) == 0

    run(play)


def test_one_query_that_fails_opens_no_circuit_but_three_do(run, bench, fail, store):
    async def play():
        async with bench(fail(500), upstream_attempts=1) as b:
            for _ in range(12):
                with pytest.raises(AwsError):
                    await b.upstream.dicomweb.search(store, "studies", QUERY, "a")
            assert len(b.fake.requests) == 12
            for limit in "123":
                query = [("limit", limit)]
                with pytest.raises(AwsError):
                    await b.upstream.dicomweb.search(store, "studies", query, "a")
            assert len(b.fake.requests) == 14

    run(play)
