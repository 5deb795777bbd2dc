"""The platform that `make demo` installed, and what its last run made."""

import json
import os
import time
from contextlib import ExitStack

import pytest
from demo.local_aws import client
from demo.place import NAMESPACE
from demo.send import study
from support import cluster


def pytest_addoption(parser):
    parser.addoption(
        "--update", action="store_true", help="write tests/data/recorded_calls.json"
    )


@pytest.fixture(scope="session")
def kubectl():
    cluster.require_test_cluster(os.environ.get("ISOCENTER_TEST_CONTEXT"))

    def run(*arguments, **options):
        return cluster.run("-n", NAMESPACE, *arguments, **options)

    return run


@pytest.fixture(scope="session")
def get(kubectl):
    """A resource, or all of a kind, as JSON."""

    def read(*what):
        return json.loads(kubectl("get", *what, "-o", "json").stdout)

    return read


@pytest.fixture
def apply(kubectl):
    """Creates resources of ours, and takes them away after the test."""
    made = []

    def create(kind, name, spec):
        body = {
            "apiVersion": "isocenter.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        kubectl("create", "-f", "-", stdin=body)
        made.append((kind.lower(), name))
        return body

    yield create
    for kind, name in made:
        kubectl("delete", kind, name, "--ignore-not-found")


@pytest.fixture(scope="session")
def aws(kubectl):
    """boto3 clients of the local AWS by service, opened once."""
    with ExitStack() as stack:
        clients = {}

        def by_service(service):
            if service not in clients:
                clients[service] = stack.enter_context(client(service))
            return clients[service]

        yield by_service


@pytest.fixture(scope="session")
def read_s3(aws):
    def read(uri):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return aws("s3").get_object(Bucket=bucket, Key=key)["Body"].read()

    return read


@pytest.fixture(scope="session")
def training_run(get):
    """The newest run that an event started and that succeeded."""
    runs = [
        run
        for run in get("trainingruns")["items"]
        if run.get("status", {}).get("phase") == "Succeeded"
        and run["metadata"].get("labels", {}).get("isocenter.dev/trigger")
    ]
    assert runs, "no TrainingRun succeeded: run `make demo` first"
    return max(runs, key=lambda run: run["metadata"]["creationTimestamp"])


@pytest.fixture(scope="session")
def manifest(training_run, read_s3):
    return json.loads(
        read_s3(training_run["status"]["datasetS3Uri"] + "/manifest.json")
    )


@pytest.fixture(scope="session")
def sent():
    """The files of the study that was sent."""
    return study()


def wait_until(look, *, seconds=120):
    """The first true answer of ``look``; fails with its last one."""
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not seen within {seconds} s"
        time.sleep(1)


@pytest.fixture(scope="session")
def wait_for():
    return wait_until


@pytest.fixture(scope="session")
def phase(get, wait_for):
    """Waits until a resource is in one of the phases; gives the resource."""

    def wait(kind, name, *phases, seconds=180):
        def look():
            found = get(kind, name)
            return found if found.get("status", {}).get("phase") in phases else None

        return wait_for(look, seconds=seconds)

    return wait
