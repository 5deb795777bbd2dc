"""The process: refuses bad settings, serves, drains on SIGTERM."""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from isocenter.tlm_proxy.main import main

COMMAND = [sys.executable, "-c", "from isocenter.tlm_proxy.main import main; main()"]


def variables(**values):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", **values}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


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


async def started(s, port, health, **values):
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
            **values,
        ),
        stderr=asyncio.subprocess.PIPE,
    )


async def stopped(process):
    """End it whatever has become of the test; its log."""
    try:
        _, log = await asyncio.wait_for(process.communicate(), 15)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return log


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


FRAMES = "0123456789ab"


def workers_of(process):
    """Pids of the workers: the children that are not multiprocessing's tracker."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [
        int(pid)
        for pid in path.read_text().split()
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


async def metrics_of(client, health):
    async with client.get(f"http://127.0.0.1:{health}/metrics") as response:
        families = text_string_to_metric_families(await response.text())
        return [sample for family in families for sample in family.samples]


async def read(port, letter):
    """One frame on a connection of its own, so that any worker may get it."""
    url = f"http://127.0.0.1:{port}/datastore/{'d' * 32}/imageSet/{'5' * 32}"
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{url}/imageFrame/{letter * 32}") as response,
    ):
        return response.status, await response.read()


async def read_all(port, times):
    return await asyncio.gather(
        *(read(port, letter) for letter in FRAMES for _ in range(times))
    )


def workers_that(samples, name, **labels):
    """Values of a metric by worker."""
    return {
        sample.labels["worker"]: sample.value
        for sample in samples
        if sample.name == f"isocenter_tlm_proxy_{name}"
        and labels.items() <= sample.labels.items()
    }


@pytest.mark.timeout(120)
def test_workers_ask_once_for_a_frame_and_outlive_one_another(stage, run, tmp_path):
    # Three processes: most of the time is their start.
    async def play():
        async with stage() as s:
            for letter in FRAMES:
                s.add(letter, letter.encode() * 100_000, media_type="image/jpeg")
            port, health = free_port(), free_port()
            process = await started(
                s,
                port,
                health,
                TLM_PROXY_WORKERS="2",
                TLM_PROXY_WORKERS_FOLDER=str(tmp_path),
            )
            try:
                ready = f"http://127.0.0.1:{health}/readyz"
                await until_ready(s.client, ready)
                await until(lambda: both_answer(s.client, health))
                for status, body in await read_all(port, 6):
                    assert status == 200
                    assert len(body) == 100_000
                # Some went to either worker; HealthImaging was asked once each.
                samples = await metrics_of(s.client, health)
                assert set(workers_that(samples, "requests_total")) == {"0", "1"}
                taken = workers_that(samples, "worker_calls_total", outcome="frame")
                assert sum(taken.values()) > 0
                assert len(s.upstream.requests) == len(FRAMES)
                async with s.client.get(f"http://127.0.0.1:{port}/metrics") as told:
                    assert 'worker="1"' in await told.text()
                # A failure crosses from worker to worker as it is.
                missing = await asyncio.gather(*(read(port, "z") for _ in range(12)))
                assert {status for status, _ in missing} == {404}

                lost, kept = workers_of(process)
                os.kill(lost, signal.SIGKILL)
                for status, body in await read_all(port, 2):
                    assert (status, len(body)) == (200, 100_000)
                await until(lambda: both_answer(s.client, health))
                now = workers_of(process)
                assert kept in now
                assert lost not in now
                process.send_signal(signal.SIGTERM)
            finally:
                log = await stopped(process)
            assert process.returncode == 0, log
            assert not list(tmp_path.iterdir())

    run(play, limit=100)


async def both_answer(client, health):
    """Whether both workers do."""
    return len(workers_that(await metrics_of(client, health), "cache_bytes")) == 2


async def until(holds):
    for _ in range(600):
        if await holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("not in a minute")
