"""The process: refuses bad settings, serves, drains on SIGTERM."""

import asyncio
import json
import logging
import os
import signal
import sys

import aiohttp
import pytest
from support.ports import free_port

from isocenter.tlm_proxy.main import main

COMMAND = [sys.executable, "-c", "from isocenter.tlm_proxy.main import main; main()"]


def variables(**values):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", **values}


@pytest.fixture
def logging_kept():
    """main() takes the root logger over; give it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("isocenter").setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "TLM_PROXY_COGNITO_USER_POOL_ID"),
        ({"TLM_PROXY_AUTH_MODE": "none"}, "no AWS region"),
        ({"TLM_PROXY_AUTH_MODE": "none", "TLM_PROXY_PORT": "web"}, "TLM_PROXY_PORT"),
        (
            {
                "TLM_PROXY_AUTH_MODE": "none",
                "TLM_PROXY_WORKERS": "2",
                "TLM_PROXY_WORKERS_FOLDER": "/nowhere",
                "AWS_DEFAULT_REGION": "eu-west-1",
            },
            "TLM_PROXY_WORKERS_FOLDER",
        ),
    ],
)
def test_a_start_without_what_it_needs_exits_2(
    monkeypatch, capsys, logging_kept, values, named
):
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert json.loads(line)["level"] == "ERROR"
    assert named in json.loads(line)["message"]


async def started(s, port, health):
    """The proxy as a process, before the stage's HealthImaging."""
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        env=variables(
            TLM_PROXY_AUTH_MODE="none",
            TLM_PROXY_PORT=str(port),
            TLM_PROXY_HEALTH_PORT=str(health),
            AWS_REGION="eu-west-1",
            AWS_DEFAULT_REGION="eu-west-1",
            AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
            AWS_SECRET_ACCESS_KEY="secret",
            AWS_ENDPOINT_URL_MEDICAL_IMAGING=s.upstream.url,
            AWS_DISABLE_HOST_PREFIX_INJECTION="true",
        ),
        stderr=asyncio.subprocess.PIPE,
    )


def test_sigterm_drains(stage, run, htj2k):
    # A process of its own: most of the time is its start.
    async def play():
        async with stage() as s:
            gate = asyncio.Event()
            s.add("a", htj2k, pieces=[1000], gates={1: gate})
            port, health = free_port(), free_port()
            process = await started(s, port, health)
            try:
                await until_ready(s.client, f"http://127.0.0.1:{health}/readyz")
                url = (
                    f"http://127.0.0.1:{port}/datastore/{'d' * 32}"
                    f"/imageSet/{'5' * 32}/imageFrame/{'a' * 32}?note=secret-in-url"
                )
                async with aiohttp.ClientSession() as client, client.get(url) as answer:
                    first = await answer.content.readexactly(1000)
                    process.send_signal(signal.SIGTERM)
                    await asyncio.sleep(0.2)
                    gate.set()
                    assert first + await answer.read() == htj2k
                _, log = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            assert process.returncode == 0
            assert b"secret" not in log
            for line in log.splitlines():
                assert json.loads(line)["service"] == "tlm-proxy"

    run(play, limit=50)


async def until_ready(client, url):
    for _ in range(1000):
        try:
            async with client.get(url) as response:
                if response.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.02)
    raise AssertionError("not ready")
