"""Fixtures for devcloud's tests: one running cloud, with or without a HealthImaging."""

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI

from isocenter.devcloud.aws import client
from isocenter.devcloud.cloud import AsgiServer, DevCloud
from isocenter.devcloud.sagemaker.app import create_app
from isocenter.devcloud.sagemaker.engine import Engine
from isocenter.devcloud.sagemaker.manual_runner import ManualRunner
from isocenter.devcloud.sagemaker.store import Store
from isocenter.devcloud.settings import Settings

DATA = Path(__file__).parent / "data"


@pytest.fixture
def definition_text():
    """The definition that the sagemaker SDK 3.27 prints for fetch and train."""
    return (DATA / "image-set-training.json").read_text(encoding="utf-8")


@pytest.fixture
def definition(definition_text):
    """The same as an object that a test may change."""
    return json.loads(definition_text)


@pytest.fixture
def settings(tmp_path):
    """Free ports, the manual executor, quick ticks."""
    return Settings(
        aws_port=0,
        healthimaging_port=0,
        sagemaker_port=0,
        data_dir=tmp_path,
        executor="manual",
        tick_seconds=0.02,
    )


@pytest.fixture
def cloud(settings):
    """A running cloud whose HealthImaging answers nothing."""
    with DevCloud(settings, lambda **_: FastAPI()) as running:
        yield running


@dataclass
class Served:
    """SageMaker alone, by the manual executor, on a port of its own."""

    engine: Engine
    url: str
    events: list


@pytest.fixture
def served():
    """SageMaker without the rest of the cloud: what it publishes is a list."""
    events = []
    engine = Engine(Store("111122223333", "eu-west-1"), ManualRunner(), events.extend)
    listening = socket.create_server(("127.0.0.1", 0))
    server = AsgiServer("sagemaker", create_app(engine), listening)
    server.start()
    engine.start(0.02)
    yield Served(engine, f"http://127.0.0.1:{listening.getsockname()[1]}", events)
    engine.stop()
    server.stop()


@pytest.fixture
def sagemaker(served):
    """A boto3 client, and with it the real botocore serialisers and parsers."""
    made = client("sagemaker", served.url, "eu-west-1")
    yield made
    made.close()


@pytest.fixture
def eventually():
    """Call until the result is true; the last result."""

    def wait(call, seconds=5.0):
        deadline = time.monotonic() + seconds
        while not (result := call()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return result

    return wait
