"""SearchImageSets and GetImageSetMetadata."""

import gzip
import json

import boto3
import pytest
from aiohttp import web
from botocore.validate import ParamValidator

from isocenter.core.errors import MalformedError, NotFoundError, RefusedError
from isocenter.tlm_proxy.errors import AnswerTooLargeError
from isocenter.tlm_proxy.upstream import image_sets

METADATA = {"SchemaVersion": "1.1", "Study": {"Series": {}}}


def page(*ids, token=None, **more):
    found = [
        {
            "imageSetId": each * 32,
            "version": 2,
            "createdAt": 1763870000.0,
            "DICOMTags": {"DICOMSeriesInstanceUID": f"1.{each}"},
            **more,
        }
        for each in ids
    ]
    body = {"imageSetsMetadataSummaries": found}
    if token:
        body["nextToken"] = token
    return lambda _: web.json_response(body)


def test_all_pages_are_read(run, bench, store):
    pages = [page("a", "b", token="t/1+"), page("c", token="t2"), page("d")]

    async def play():
        async with bench(*pages) as b:
            found = await b.upstream.image_sets.search(
                store, "DICOMStudyInstanceUID", "1.2.3", "a"
            )
            assert [each.id for each in found] == [c * 32 for c in "abcd"]
            assert found[0].version == "2"
            assert found[0].is_primary is None
            assert found[0].tags == {"DICOMSeriesInstanceUID": "1.a"}
            paths = [request.raw_path for request, _ in b.fake.requests]
            base = f"/datastore/{store.datastore_id}/searchImageSets?maxResults=50"
            assert paths == [
                base,
                f"{base}&nextToken=t%2F1%2B",
                f"{base}&nextToken=t2",
            ]
            model = boto3.client("medical-imaging").meta.service_model
            shape = model.operation_model("SearchImageSets").input_shape
            for _, body in b.fake.requests:
                asked = {
                    "searchCriteria": json.loads(body),
                    "datastoreId": store.datastore_id,
                }
                report = ParamValidator().validate(asked, shape)
                assert not report.has_errors(), report.generate_report()
                (only,) = asked["searchCriteria"]["filters"]
                assert only == {
                    "values": [{"DICOMStudyInstanceUID": "1.2.3"}],
                    "operator": "EQUAL",
                }
            labels = {"region": "eu-west-1", "service": "searches"}
            assert b.metric("upstream_wait_seconds_count", **labels) == 3
            assert b.metric("upstream_rate", **labels) == 25

    run(play)


@pytest.mark.parametrize("primary", [True, False])
def test_primary_is_passed_on(run, bench, store, primary):
    async def play():
        async with bench(page("a", isPrimary=primary)) as b:
            (found,) = await b.upstream.image_sets.search(
                store, "DICOMSeriesInstanceUID", "1", "a"
            )
            assert found.is_primary is primary

    run(play)


@pytest.mark.parametrize(
    "body",
    [[], {}, {"imageSetsMetadataSummaries": {}}]
    + [{"imageSetsMetadataSummaries": [each]} for each in ({}, None, 1, [])],
)
def test_pages_of_another_form(run, bench, store, body):
    async def play():
        async with bench(lambda _: web.json_response(body)) as b:
            with pytest.raises(MalformedError, match=store.datastore_id):
                await b.upstream.image_sets.search(
                    store, "DICOMStudyInstanceUID", "1", "a"
                )

    run(play)


def test_pages_that_do_not_end(run, bench, store, monkeypatch):
    monkeypatch.setattr(image_sets, "_PAGES", 5)

    async def play():
        async with bench(page("a", token="again")) as b:
            with pytest.raises(MalformedError, match="over 5 pages"):
                await b.upstream.image_sets.search(
                    store, "DICOMStudyInstanceUID", "1", "a"
                )
            assert len(b.fake.requests) == 5

    run(play)


def test_a_search_that_is_refused_is_not_repeated_in_the_error(run, bench, fail, store):
    async def play():
        async with bench(fail(400, "ValidationException")) as b:
            with pytest.raises(RefusedError) as caught:
                await b.upstream.image_sets.search(
                    store, "DICOMPatientId", "secret-id", "a"
                )
            assert "said by" not in str(caught.value)
            assert "secret-id" not in str(caught.value)

    run(play)


@pytest.mark.parametrize("version", ["3", None])
@pytest.mark.parametrize("zipped", [True, False])
def test_metadata(run, bench, ok, store, version, zipped):
    body = json.dumps(METADATA).encode()
    # The blob is gzip in itself, whatever the header says.
    body = gzip.compress(body) if zipped else body

    async def play():
        async with bench(ok(body)) as b:
            found = await b.upstream.image_sets.metadata(store, "5" * 32, version, "a")
            assert found == METADATA
            ((request, sent),) = b.fake.requests
            assert sent == b""
            assert request.method == "POST"
            assert request.raw_path == (
                f"/datastore/{store.datastore_id}/imageSet/{'5' * 32}"
                "/getImageSetMetadata" + (f"?version={version}" if version else "")
            )
            labels = {"region": "eu-west-1", "service": "metadata"}
            assert b.metric("upstream_rate", **labels) == 50

    run(play)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[]", MalformedError),
        (b"\x1f\x8bno", MalformedError),
        (gzip.compress(b"0" * 100_000), AnswerTooLargeError),
    ],
)
def test_metadata_that_is_none(run, bench, ok, store, body, kind):
    async def play():
        async with bench(ok(body), upstream_json_max_bytes=4096) as b:
            with pytest.raises(kind, match="metadata of image set 555"):
                await b.upstream.image_sets.metadata(store, "5" * 32, None, "a")

    run(play)


def test_an_image_set_that_is_not_there(run, bench, fail, store):
    async def play():
        async with bench(fail(404, "ResourceNotFoundException")) as b:
            with pytest.raises(NotFoundError, match="5" * 32):
                await b.upstream.image_sets.metadata(store, "5" * 32, None, "a")

    run(play)
