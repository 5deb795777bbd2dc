"""The route, in a FastAPI application of its own."""

import asyncio
import json
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from isocenter.core.errors import IsocenterError
from isocenter.tlm_proxy.access.caller import Caller
from isocenter.tlm_proxy.errors import UnauthorizedError, answer_for
from isocenter.tlm_proxy.usage import routes
from isocenter.tlm_proxy.usage.objects import RunObjects

ONE, TWO = (f"{n:032d}" for n in (1, 2))
STORE, OTHER = "d" * 32, "e" * 32
STUDY = "1.2.840.7"


class Access:
    """Whoever sends a token may read one data store."""

    def known(self, authorization):
        return None

    async def check(self, authorization):
        if not authorization:
            raise UnauthorizedError("send a token", code="")
        return Caller("somebody", {}, "client", frozenset({STORE}))


class ImageSets:
    def __init__(self):
        self.asked = []
        self.found = {STUDY: [SimpleNamespace(id=ONE, version="3")]}

    async def search(self, store, attribute, value, client):
        self.asked.append((store, attribute, value, client))
        return self.found.get(value, [])


@pytest.fixture
def image_sets():
    return ImageSets()


@pytest.fixture
def get(image_sets, objects, monkeypatch):
    """GETs a path with a token, of a proxy with or without runs_s3_uri."""
    monkeypatch.setattr(RunObjects, "connect", lambda _: objects)

    async def go(path, *, uri="s3://a-bucket/runs", token="t"):
        settings = SimpleNamespace(
            runs_s3_uri=uri, usage_refresh_s=0, usage_max_image_sets=10
        )
        app = FastAPI()
        app.include_router(
            routes.usage_router(
                SimpleNamespace(
                    settings=settings,
                    access=Access(),
                    upstream=SimpleNamespace(image_sets=image_sets),
                )
            )
        )

        @app.exception_handler(IsocenterError)
        async def failed(_, error):
            answer = answer_for(error)
            text = answer.message or str(error)
            return JSONResponse({"detail": text}, answer.status)

        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://proxy"
        ) as client:
            return await client.get(path, headers=headers)

    return lambda path, **options: asyncio.run(go(path, **options))


def path(study=STUDY, store=STORE, region="eu-west-1"):
    return f"/usage/{region}/{store}/studies/{study}"


def test_runs_of_a_studys_image_sets(get, objects, image_sets):
    objects.run("nightly", [ONE, TWO], model=True)
    answer = get(path())
    assert answer.status_code == 200
    body = json.loads(answer.content)
    folder = "s3://a-bucket/runs/ns/nightly/attempt-1/e1"
    assert body.pop("asOf")
    assert body == {
        "studyInstanceUID": STUDY,
        "imageSets": [{"id": ONE, "versionId": "3"}],
        "runs": [
            {
                "namespace": "ns",
                "name": "nightly",
                "attempt": 1,
                "execution": "e1",
                "imageSets": [ONE],
                "datasetS3Uri": f"{folder}/dataset/",
                "modelS3Uri": f"{folder}/model/job/output/model.tar.gz",
                "completedAt": "2026-11-01T00:00:00Z",
            }
        ],
        "complete": True,
    }
    assert image_sets.asked == [
        (("eu-west-1", STORE), "DICOMStudyInstanceUID", STUDY, "client")
    ]


@pytest.mark.parametrize(
    ("asked", "options", "status", "detail"),
    [
        (path(), {"uri": None}, 404, "TLM_PROXY_RUNS_S3_URI"),
        (path(study="1.2.3"), {}, 404, ""),
        (path(store=OTHER), {}, 403, OTHER),
        (path(), {"token": ""}, 401, "token"),
        (path(study="1.2.3a"), {}, 422, ""),
        (path(store="x"), {}, 422, ""),
    ],
)
def test_what_is_refused(get, objects, asked, options, status, detail):
    answer = get(asked, **options)
    assert answer.status_code == status
    assert detail in answer.text
    assert objects.listings == 0
