"""A stand-in for HealthImaging that serves mutated frames, and the proxy as a
process before it."""

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from faults.tlm_proxy.mutations import REGION, Mutations
from support.instances import eventually
from support.ports import free_port, free_ports


class FakeHealthImaging:
    """SearchImageSets, GetImageSetMetadata and GetImageFrame of the mutations, in a
    thread, on loopback. It holds no state: a frame's id is its mutation's number.

    Attributes:
        calls: of GetImageFrame.
        pace: while it isn't set, a frame stops after its first piece.
    """

    def __init__(self, mutations):
        self.mutations = mutations
        self.calls = 0
        self.pace = asyncio.Event()
        self.pace.set()

    async def search(self, request):
        document = await request.json()
        wanted = document["filters"][0]["values"][0].get("DICOMStudyInstanceUID", "")
        found = [
            {"imageSetId": each, "version": 1, "isPrimary": True, "DICOMTags": {}}
            for each in self.mutations.image_sets(wanted)
        ]
        return web.json_response({"imageSetsMetadataSummaries": found})

    async def metadata(self, request):
        image_set_id = request.match_info["image_set"]
        if not image_set_id.isdecimal():
            return _not_found()
        document = self.mutations.document(image_set_id)
        body = gzip.compress(json.dumps(document).encode(), 1)
        return web.Response(body=body, content_type="application/octet-stream")

    async def frame(self, request):
        self.calls += 1
        frame_id = (await request.json())["imageFrameId"]
        if not frame_id.isdecimal():
            return _not_found()
        try:
            return await self._send(request, self.mutations[int(frame_id)])
        except ConnectionError:
            # The proxy has no more use for it.
            request.transport.abort()
            raise asyncio.CancelledError from None

    async def _send(self, request, sent):
        response = web.StreamResponse(headers={"Content-Type": sent.media_type})
        if sent.size is None:
            response.enable_chunked_encoding()
        else:
            response.content_length = sent.size
        await response.prepare(request)
        for start, end in zip(sent.pieces, sent.pieces[1:], strict=False):
            if sent.stop is not None and end > sent.stop:
                request.transport.abort()
                return response
            await response.write(sent.body[start:end])
            await self.pace.wait()
        await response.write_eof()
        return response

    async def dicomweb(self, _request):
        return web.json_response([], content_type="application/dicom+json")

    def application(self):
        app = web.Application()
        store = "/datastore/{store}"
        app.router.add_post(f"{store}/searchImageSets", self.search)
        one = f"{store}/imageSet/{{image_set}}"
        app.router.add_route("*", f"{one}/getImageSetMetadata", self.metadata)
        app.router.add_post(f"{one}/getImageFrame", self.frame)
        app.router.add_get("/{path:.*}", self.dicomweb)
        return app

    @contextmanager
    def paused(self):
        """Frames stop after their first piece until the block ends."""
        self._loop.call_soon_threadsafe(self.pace.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self.pace.set)

    @contextmanager
    def running(self):
        """Serve; gives the URL."""
        loop, ready = asyncio.new_event_loop(), threading.Event()
        port = free_port()
        runner = web.AppRunner(
            self.application(), access_log=None, shutdown_timeout=0.1
        )

        async def start():
            self._loop = loop
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            ready.set()

        def run():
            loop.run_until_complete(start())
            loop.run_forever()
            loop.run_until_complete(runner.cleanup())
            loop.close()

        thread = threading.Thread(target=run)
        thread.start()
        assert ready.wait(10)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)


def _not_found():
    headers = {"x-amzn-ErrorType": "ResourceNotFoundException"}
    return web.json_response({"message": "no"}, status=404, headers=headers)


@dataclass
class Proxy:
    """A running ``isocenter-tlm-proxy``."""

    process: subprocess.Popen
    port: int
    log: Path

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    def pids(self):
        """The process and those it started."""
        found, new = [], [self.process.pid]
        while new:
            pid = new.pop()
            found.append(pid)
            tasks = Path(f"/proc/{pid}/task")
            for children in tasks.glob("*/children"):
                new += [int(each) for each in children.read_text().split()]
        return found

    def resident(self):
        """Bytes that all of it holds."""
        pages = (
            int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            for pid in self.pids()
        )
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def open_files(self):
        """Descriptors that all of it holds."""
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.pids())

    def unexpected(self):
        """What it logged of failures that nobody foresaw."""
        return [
            line
            for line in self.log.read_text().splitlines()
            if ('"ERROR"' in line or "Traceback" in line)
            # uvicorn's word for every answer that is broken off,
            and "returned without completing" not in line
            # and it does not tell a handler that the client has gone if that had
            # sent the next request already.
            and "the handler is closed" not in line
            # Nor is a worker that no longer wants the frame of another an error.
            and "to closing transport" not in line
        ]


@contextmanager
def running_proxy(folder, upstream, **variables):
    port, health = free_ports(2)
    log = folder / "proxy.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    environment |= {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": upstream,
        "TLM_PROXY_PORT": str(port),
        "TLM_PROXY_HEALTH_PORT": str(health),
        "TLM_PROXY_AUTH_MODE": "none",
        "TLM_PROXY_UPSTREAM_CALLS_PER_S": "100000",
        "TLM_PROXY_DICOMWEB_CALLS_PER_S": "100000",
        "TLM_PROXY_UPSTREAM_ATTEMPTS": "1",
        "TLM_PROXY_DRAIN_S": "1",
        **variables,
    }
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("isocenter-tlm-proxy"))],
            env=environment,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    proxy = Proxy(process, port, log)
    try:

        def ready():
            assert process.poll() is None, log.read_text()
            try:
                return httpx.get(f"{proxy.base}/readyz", timeout=2).status_code == 200
            except httpx.TransportError:
                return False

        eventually(ready, 40)
        yield proxy
        assert process.poll() is None, log.read_text()[-4000:]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()[-4000:]
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def mutations():
    return Mutations()


@pytest.fixture(scope="session")
def healthimaging(mutations):
    """The stand-in; ``url`` is where it listens."""
    fake = FakeHealthImaging(mutations)
    with fake.running() as fake.url:
        yield fake


@pytest.fixture(scope="session")
def start_proxy(healthimaging, tmp_path_factory):
    """``with start_proxy(TLM_PROXY_…=…) as proxy``."""

    def start(**variables):
        folder = tmp_path_factory.mktemp("proxy")
        return running_proxy(folder, healthimaging.url, **variables)

    return start
