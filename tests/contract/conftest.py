import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from support.local_aws import local_aws

DATA = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    """AWS's variables, set for this process, leading to a local AWS."""
    with local_aws(tmp_path_factory.mktemp("aws")) as variables:
        before = dict(os.environ)
        os.environ.update(variables)
        yield variables
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def s3(aws):
    return boto3.client("s3")


@pytest.fixture(scope="session")
def imaging(aws):
    return boto3.client("medical-imaging")


@pytest.fixture(scope="session")
def sagemaker(aws):
    return boto3.client("sagemaker")


@pytest.fixture(scope="session")
def datastore_id(imaging) -> str:
    (store,) = imaging.list_datastores()["datastoreSummaries"]
    return store["datastoreId"]


@pytest.fixture(scope="session")
def queue_url(aws) -> str:
    return boto3.client("sqs").get_queue_url(QueueName="isocenter-events")["QueueUrl"]


@pytest.fixture(scope="session")
def ct_files(tmp_path_factory) -> list[Path]:
    """The real CT study, 28 slices."""
    folder = tmp_path_factory.mktemp("ct")
    with tarfile.open(DATA / "ct_head.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return sorted((folder / "ct_head").iterdir())


def until(look: Callable[[], object], *, seconds: float = 60) -> object:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = look()
        if result is not None:
            return result
        time.sleep(0.1)
    raise AssertionError(f"not seen within {seconds} s")


@pytest.fixture(scope="session")
def wait_for():
    return until
