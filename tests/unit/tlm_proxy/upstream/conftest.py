"""A HealthImaging on loopback that does as it is told, and a loop without waiting."""

import asyncio
import selectors
from contextlib import AsyncExitStack, asynccontextmanager

import boto3
import pytest
from aiohttp import web
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from prometheus_client import CollectorRegistry

from isocenter.tlm_proxy.frames.key import FrameKey, Store
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.upstream.credentials import Credentials
from isocenter.tlm_proxy.upstream.healthimaging import Upstream
from isocenter.tlm_proxy.upstream.signing import Signer

REGION = "eu-west-1"
DATASTORE = "d" * 32
IMAGE_SET = "5" * 32


class _Selector(selectors.DefaultSelector):
    """Waiting costs no time: the clock is put forward instead."""

    now = 1000.0

    def select(self, timeout=None):
        events = super().select(0)
        if not events and timeout:
            self.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop for code that waits on timers alone."""

    def __init__(self):
        self.clock = _Selector()
        super().__init__(self.clock)

    def time(self):
        return self.clock.now


@pytest.fixture
def run_virtual():
    """Run a coroutine function; its timers take no time."""

    def run(function):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(function())

    return run


class BotoSession:
    """A boto3 session as far as credentials need one."""

    def __init__(self, credentials):
        self.credentials = credentials

    def get_credentials(self):
        return self.credentials


def client_of(url, region=REGION, **values):
    return boto3.client(
        "medical-imaging",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        **values,
    )


class FakeHealthImaging:
    """Gives its answers in turn, the last one for ever; records requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.asked = asyncio.Event()
        self.at = []
        self.under_way = 0
        self.most_under_way = 0

    async def answer(self, request):
        body = await request.read()
        self.requests.append((request, body))
        self.asked.set()
        self.at.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            response = answer(request) if callable(answer) else answer
            return await response if asyncio.iscoroutine(response) else response
        finally:
            self.under_way -= 1

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
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"


class Bench:
    def __init__(self, fake, upstream, registry):
        self.fake = fake
        self.upstream = upstream
        self.registry = registry

    async def frame(self, frame="f", client="a"):
        """All of a frame."""
        arriving = await self.upstream.frame(key(frame), client)
        try:
            return b"".join([piece async for piece in arriving.pieces()])
        finally:
            arriving.close()

    def metric(self, name, **labels):
        return self.registry.get_sample_value(f"isocenter_tlm_proxy_{name}", labels)


@asynccontextmanager
async def bench(*answers, url=None, **values):
    defaults = {"auth_mode": "none", "upstream_attempts": 2, "upstream_deadline_s": 5}
    settings = Settings(**{**defaults, **values})
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        fake = FakeHealthImaging(*answers)
        await fake.start(stack)
        # The stand-in has no runtime- host.
        config = Config(inject_host_prefix=False)
        signer = Signer(
            client_of(url or fake.url, config=config),
            Credentials(BotoSession(BotoCredentials("AKIDEXAMPLE", "secret"))),
        )
        upstream = Upstream(settings, Metrics(registry), REGION, {REGION: signer})
        await upstream.open()
        stack.push_async_callback(upstream.aclose)
        yield Bench(fake, upstream, registry)


def fail(status, kind="", **headers):
    """An error as HealthImaging sends it."""
    if kind:
        headers["x-amzn-ErrorType"] = f"{kind}:http://internal.amazon.com/"

    def answer(_):
        text = {"message": "said by HealthImaging"}
        return web.json_response(text, status=status, headers=headers)

    return answer


def ok(body=b"body", **headers):
    def answer(_):
        return web.Response(body=body, headers=headers)

    return answer


def key(frame="f", region=REGION):
    return FrameKey(region, DATASTORE, IMAGE_SET, frame * 32)


@pytest.fixture(name="bench")
def bench_fixture():
    return bench


@pytest.fixture(name="fail")
def fail_fixture():
    return fail


@pytest.fixture(name="ok")
def ok_fixture():
    return ok


@pytest.fixture
def store():
    return Store(REGION, DATASTORE)


@pytest.fixture(name="key_of")
def key_fixture():
    return key


@pytest.fixture(name="boto_client")
def client_fixture():
    return client_of


@pytest.fixture
def boto_session():
    return BotoSession


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry())


@pytest.fixture(autouse=True)
def aws_variables(monkeypatch):
    """Nothing of this machine's AWS set-up reaches a test."""
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING",
        "AWS_DISABLE_HOST_PREFIX_INJECTION",
        "AWS_PROFILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
