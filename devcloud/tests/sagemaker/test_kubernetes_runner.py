"""The kubernetes executor against an API server in memory."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from isocenter.devcloud.sagemaker.kubernetes_runner import KubernetesRunner
from isocenter.devcloud.sagemaker.manifest import PodSettings
from isocenter.devcloud.sagemaker.models import Observation
from isocenter.devcloud.sagemaker.runner import RunnerError

SETTINGS = PodSettings(
    namespace="ns",
    instance="dc",
    devcloud_image="devcloud:1",
    image_pull_policy="IfNotPresent",
    service_account="steps",
    environment={},
    ttl_seconds=60,
)
T0 = datetime(2026, 11, 23, 10, tzinfo=UTC)
DONE = {"terminated": {"exitCode": 0}}


class FakeCluster:
    """Jobs, pods and logs of one namespace; `fail` is raised by the next call."""

    def __init__(self):
        self.jobs = {}
        self.pods = {}
        self.logs = {}
        self.events = []
        self.fail = None
        self.api_client = SimpleNamespace(
            sanitize_for_serialization=lambda answer: answer
        )

    def _call(self):
        if self.fail is not None:
            error, self.fail = self.fail, None
            raise error

    def create_namespaced_job(self, namespace, body, **_):
        self._call()
        name = body["metadata"]["name"]
        if name in self.jobs:
            raise ApiException(status=409, reason="AlreadyExists")
        # The real client must be able to send it.
        assert client.ApiClient().sanitize_for_serialization(body) == body
        self.jobs[name] = (namespace, body)

    def read_namespaced_job(self, name, namespace, **_):
        self._call()
        if name not in self.jobs:
            raise ApiException(status=404, reason="Not Found")
        return SimpleNamespace(metadata=SimpleNamespace(creation_timestamp=T0))

    def delete_namespaced_job(self, name, namespace, propagation_policy, **_):
        self._call()
        assert propagation_policy == "Background"
        if self.jobs.pop(name, None) is None:
            raise ApiException(status=404, reason="Not Found")

    def delete_collection_namespaced_job(self, namespace, label_selector, **_):
        wanted = dict(part.split("=") for part in label_selector.split(","))
        assert len(wanted) == 2
        for name, (_ns, body) in list(self.jobs.items()):
            if wanted.items() <= body["metadata"]["labels"].items():
                del self.jobs[name]

    def list_namespaced_pod(self, namespace, label_selector, **_):
        self._call()
        wanted = dict(part.split("=") for part in label_selector.split(","))
        pod = self.pods.get(wanted["app.kubernetes.io/name"])
        return {"items": [pod] if pod else []}

    def read_namespaced_pod_log(self, name, namespace, container, **_):
        self._call()
        assert container == "step"
        return SimpleNamespace(data=self.logs.get(name, b""))

    def list_namespaced_event(self, namespace, field_selector, **_):
        return SimpleNamespace(items=self.events)


@pytest.fixture
def cluster():
    return FakeCluster()


@pytest.fixture
def clock():
    return SimpleNamespace(now=T0.timestamp() + 5)


@pytest.fixture
def runner(cluster, clock):
    return KubernetesRunner(
        SETTINGS, "eu-west-1", batch=cluster, core=cluster, clock=lambda: clock.now
    )


def pod(name, phase="Pending", inputs=None, step=None, outputs=None, **metadata):
    init = {"inputs": inputs or {}, "step": step or {}}
    return {
        "metadata": {"name": f"{name}-x", **metadata},
        "status": {
            "phase": phase,
            "startTime": "2026-11-23T10:00:00Z",
            "initContainerStatuses": [
                {"name": key, "state": state} for key, state in init.items()
            ],
            "containerStatuses": [{"name": "outputs", "state": outputs or {}}],
        },
    }


def test_start_is_repeatable(runner, cluster, make_job):
    job = make_job("Train")
    runner.start(job)
    runner.start(job)
    assert list(cluster.jobs) == [job.name.lower()]


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (ApiException(status=403, reason="Forbidden"), True),
        (ApiException(status=422, reason="Invalid"), True),
        (ApiException(status=500, reason="Internal"), False),
        (ApiException(status=429, reason="Too Many"), False),
        (urllib3.exceptions.ConnectTimeoutError("away"), False),
    ],
)
def test_errors_end_here(runner, cluster, make_job, error, permanent):
    cluster.fail = error
    with pytest.raises(RunnerError) as caught:
        runner.start(make_job("Train"))
    assert caught.value.permanent is permanent


def test_a_job_to_its_end(runner, cluster, make_job):
    job = make_job("Train")
    name = job.name.lower()
    runner.start(job)
    assert runner.observe(job) == Observation("Starting")
    cluster.pods[name] = pod(name, inputs={"running": {}})
    assert runner.observe(job).phase == "Downloading"
    cluster.pods[name] = pod(name, inputs=DONE, step={"running": {}})
    cluster.logs[f"{name}-x"] = b"loss=0.5\n"
    assert runner.observe(job).phase == "Training"
    assert runner.log(job) == "loss=0.5\n"
    cluster.pods[name] = pod(name, "Succeeded", inputs=DONE, step=DONE, outputs=DONE)
    seen = runner.observe(job)
    assert (seen.phase, seen.log) == ("Completed", "loss=0.5\n")


def test_stop(runner, cluster, make_job):
    job = make_job("Train")
    name = job.name.lower()
    runner.start(job)
    cluster.pods[name] = pod(
        name,
        inputs=DONE,
        step={"running": {}},
        deletionTimestamp="2026-11-23T10:00:05Z",
    )
    cluster.logs[f"{name}-x"] = b"so far"
    runner.stop(job)
    runner.stop(job)
    job.status = "Stopping"
    assert runner.observe(job) == Observation("Stopping", log="so far")
    del cluster.pods[name]
    assert runner.observe(job) == Observation("Stopped")


def test_a_job_that_somebody_deleted(runner, cluster, make_job):
    job = make_job("Train")
    seen = runner.observe(job)
    assert seen.phase == "Failed"
    assert "was deleted" in seen.failure_reason


def test_a_job_that_gets_no_pod(runner, cluster, clock, make_job):
    job = make_job("Train")
    runner.start(job)
    clock.now += 100
    cluster.events = [SimpleNamespace(message="violates PodSecurity")]
    seen = runner.observe(job)
    assert "violates PodSecurity" in seen.failure_reason
    assert cluster.jobs == {}


def test_a_pod_that_never_begins_is_taken_away(runner, cluster, make_job):
    job = make_job("Train")
    name = job.name.lower()
    runner.start(job)
    bad = {"waiting": {"reason": "InvalidImageName", "message": "no"}}
    cluster.pods[name] = pod(name, inputs=DONE, step=bad)
    assert "InvalidImageName" in runner.observe(job).failure_reason
    assert cluster.jobs == {}


def test_a_log_that_can_t_be_read_is_no_failure(runner, cluster, make_job):
    job = make_job("Train")
    name = job.name.lower()
    cluster.pods[name] = pod(name, inputs=DONE, step={"running": {}})
    original = cluster.list_namespaced_pod

    def list_then_fail(*args, **kwargs):
        answer = original(*args, **kwargs)
        cluster.fail = ApiException(status=400, reason="PodInitializing")
        return answer

    cluster.list_namespaced_pod = list_then_fail
    assert runner.log(job) == ""


def test_sweep_takes_only_its_own(runner, cluster, make_job):
    runner.start(make_job("Train"))
    other = {"metadata": {"labels": {"app.kubernetes.io/instance": "dc"}}}
    cluster.jobs["other"] = ("ns", other)
    runner.sweep()
    assert list(cluster.jobs) == ["other"]
