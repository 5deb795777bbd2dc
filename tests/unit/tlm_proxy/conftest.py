"""A stage for the proxy: a HealthImaging stand-in that can dribble, the real app
under the real server on a free loopback port, and a client."""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise

import aiohttp
import boto3
import imagecodecs
import numpy as np
import pytest
import uvicorn
from aiohttp import web
from botocore.credentials import Credentials
from imagecodecs import HTJ2K
from prometheus_client import CollectorRegistry

from isocenter.tlm_proxy.access.tokens import build_access
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.frames.key import FrameKey
from isocenter.tlm_proxy.http.app import create_app
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.upstream.credentials import Credentials as OwnCredentials
from isocenter.tlm_proxy.upstream.healthimaging import Upstream
from isocenter.tlm_proxy.upstream.signing import Signer
from isocenter.tlm_proxy.workers.serving import server_config

REGION = "eu-west-1"
DATASTORE = "d" * 32
IMAGE_SET = "5" * 32


def encode(image, *, tlm=True):
    return imagecodecs.htj2k_encode(
        image,
        resolutions=4,
        reversible=True,
        tlm=tlm,
        tilepart=HTJ2K.TILEPART.RESOLUTIONS,
    )


@pytest.fixture(scope="session")
def image():
    y, x = np.mgrid[:180, :220]
    noise = np.random.default_rng(3).integers(0, 50, (180, 220))
    return (x * 7 + y * 11 + noise).astype(np.uint16)


@pytest.fixture(scope="session")
def htj2k(image):
    """A frame as HealthImaging stores it."""
    return encode(image)


@pytest.fixture(scope="session")
def htj2k_without_tlm(image):
    return encode(image, tlm=False)


@pytest.fixture(scope="session")
def by_tlm(htj2k, htj2k_without_tlm):
    return {True: htj2k, False: htj2k_without_tlm}


@dataclass
class Script:
    """How one frame is answered: failures first, then its pieces."""

    body: bytes = b""
    media_type: str = "image/jphc"
    pieces: list[int] = field(default_factory=list)
    gates: dict[int, asyncio.Event] = field(default_factory=dict)
    failures: list[tuple[int, str]] = field(default_factory=list)
    chunked: bool = False
    cut_after: int | None = None
    silent: bool = False


class FakeHealthImaging:
    """GetImageFrame on loopback; records calls and clients that went away."""

    def __init__(self):
        self.frames: dict[str, Script] = {}
        self.requests: list[dict] = []
        self.gone = asyncio.Event()
        self.finished = asyncio.Event()

    async def start(self, stack):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    async def answer(self, request):
        body = await request.read()
        self.requests.append(
            {
                "method": request.method,
                "path": request.raw_path,
                "headers": dict(request.headers),
                "body": body,
            }
        )
        script = self.frames.get(json.loads(body)["imageFrameId"])
        if script is None:
            return fail(404, "ResourceNotFoundException")
        if script.failures:
            return fail(*script.failures.pop(0))
        try:
            return await self.send(request, script)
        except (asyncio.CancelledError, ConnectionError):
            self.gone.set()
            raise

    async def send(self, request, script):
        if script.silent:
            await asyncio.sleep(60)
        response = web.StreamResponse(headers={"Content-Type": script.media_type})
        if script.chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = len(script.body)
        await response.prepare(request)
        edges = [0, *script.pieces, len(script.body)]
        for number, (start, end) in enumerate(pairwise(edges)):
            if number in script.gates:
                await script.gates[number].wait()
            if script.cut_after == number:
                request.transport.abort()
                return response
            await response.write(script.body[start:end])
        await response.write_eof()
        self.finished.set()
        return response


def fail(status, kind):
    return web.json_response(
        {"message": "said by HealthImaging"},
        status=status,
        headers={"x-amzn-ErrorType": f"{kind}:http://internal.amazon.com/"},
    )


class BotoSession:
    """A boto3 session as far as the signer needs one."""

    def __init__(self, credentials):
        self.credentials = credentials

    def get_credentials(self):
        return self.credentials


def settings(**values):
    defaults = {
        "auth_mode": "none",
        "port": 0,
        "upstream_attempts": 2,
        "upstream_deadline_s": 5,
        "upstream_idle_s": 5,
    }
    return Settings(**{**defaults, **values})


def client_of(url, **values):
    return boto3.client(
        "medical-imaging",
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        **values,
    )


class Stage:
    """All of it, running."""

    def __init__(self, protocol=None, **values):
        self.protocol = protocol
        self.settings = settings(**values)
        self.upstream = FakeHealthImaging()
        self.registry = CollectorRegistry()
        self.stack = AsyncExitStack()

    def add(self, frame_id, body=b"", **values):
        script = Script(body, **values)
        self.upstream.frames[frame_id * 32] = script
        return script

    async def __aenter__(self):
        await self.upstream.start(self.stack)
        # The stand-in has no runtime- host: as AWS_DISABLE_HOST_PREFIX_INJECTION.
        config = boto3.session.Config(inject_host_prefix=False)
        signer = Signer(
            client_of(self.upstream.url, config=config),
            OwnCredentials(BotoSession(Credentials("AKIDEXAMPLE", "secret"))),
        )
        metrics = Metrics(self.registry)
        self.context = ProcessContext(
            self.settings,
            metrics,
            Upstream(self.settings, metrics, REGION, {REGION: signer}),
            build_access(self.settings, metrics),
        )
        config = server_config(create_app(self.context), self.settings)
        config.host, config.timeout_graceful_shutdown = "127.0.0.1", 1
        if self.protocol is not None:
            config.http = self.protocol
        self.server = uvicorn.Server(config)
        serving = asyncio.create_task(self.server.serve())
        while not self.server.started:
            if serving.done():
                serving.result()
            await asyncio.sleep(0.005)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.client = aiohttp.ClientSession(
            self.url, timeout=aiohttp.ClientTimeout(total=10)
        )

        async def stop():
            await self.client.close()
            self.server.should_exit = True
            await serving

        self.stack.push_async_callback(stop)
        return self

    async def __aexit__(self, *raised):
        await self.stack.aclose()

    def post(self, frame_id, headers=None, **query):
        return self.client.post(
            f"/datastore/{DATASTORE}/imageSet/{IMAGE_SET}/getImageFrame",
            params=query,
            json={"imageFrameId": frame_id * 32},
            headers=headers,
        )

    def get(self, frame_id, headers=None, **query):
        return self.client.get(
            f"/datastore/{DATASTORE}/imageSet/{IMAGE_SET}/imageFrame/{frame_id * 32}",
            params=query,
            headers=headers,
        )

    def head(self, frame_id):
        return self.client.head(
            f"/datastore/{DATASTORE}/imageSet/{IMAGE_SET}/imageFrame/{frame_id * 32}"
        )

    async def body(self, frame_id, **query):
        async with self.post(frame_id, **query) as response:
            assert response.status == 200, await response.text()
            return await response.read()

    async def cached(self, frames=1):
        """Wait until this many frames are in the cache."""
        await self.until(lambda: self.metric("cache_frames") >= frames)

    async def until(self, holds):
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110 - a metric has no event
                await asyncio.sleep(0.005)

    def metric(self, name, **labels):
        value = self.registry.get_sample_value(f"isocenter_tlm_proxy_{name}", labels)
        return value or 0


def key(frame_id):
    return FrameKey(REGION, DATASTORE, IMAGE_SET, frame_id * 32)


@pytest.fixture
def stage():
    """``async with stage(setting=value) as s``."""
    return Stage


@pytest.fixture
def run():
    """Run a coroutine function in a fresh loop, bounded."""

    def run(function, limit=15):
        async def bounded():
            async with asyncio.timeout(limit):
                return await function()

        return asyncio.run(bounded())

    return run


@pytest.fixture
def settings_of():
    return settings


@pytest.fixture
def boto_client():
    return client_of


@pytest.fixture
def boto_session():
    return BotoSession


@pytest.fixture
def key_of():
    return key


@pytest.fixture(autouse=True)
def aws_variables(monkeypatch):
    """Nothing of this machine's AWS set-up reaches a test."""
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING",
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER",
        "AWS_DISABLE_HOST_PREFIX_INJECTION",
        "AWS_PROFILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
