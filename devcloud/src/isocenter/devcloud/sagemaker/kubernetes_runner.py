"""Executor `kubernetes`: each step is a Kubernetes Job; the client's one edge."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from isocenter.devcloud.sagemaker import manifest as manifests
from isocenter.devcloud.sagemaker.container import container
from isocenter.devcloud.sagemaker.jobs import max_runtime
from isocenter.devcloud.sagemaker.models import Job, Observation
from isocenter.devcloud.sagemaker.pod_status import observation, step_state, stuck
from isocenter.devcloud.sagemaker.runner import RunnerError

logger = logging.getLogger(__name__)

_NOT_FOUND = 404
_CONFLICT = 409
_TIMEOUT = 10
# How long a Job may be without a pod before somebody has to be told.
_POD_PATIENCE = 60.0
# Of a step's log, this much is kept.
_LOG_BYTES = 1_000_000


class KubernetesRunner:
    """Runs jobs in one namespace; touches only what carries its own labels."""

    def __init__(
        self,
        settings: manifests.PodSettings,
        region: str,
        *,
        batch: client.BatchV1Api,
        core: client.CoreV1Api,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._region = region
        self._batch = batch
        self._core = core
        self._clock = clock

    def start(self, job: Job) -> None:
        """Create the Job; one of this name that is there already is ours."""
        try:
            body = manifests.manifest(
                job, container(job, self._region), self._settings, max_runtime(job)
            )
        except manifests.PlanTooLongError as error:
            raise RunnerError(str(error), permanent=True) from error
        with _translated("create the Job", ignore=_CONFLICT):
            self._batch.create_namespaced_job(
                self._settings.namespace, body, _request_timeout=_TIMEOUT
            )

    def observe(self, job: Job) -> Observation:
        """By the Job's pod, or by the Job itself while it has none."""
        name = manifests.kubernetes_name(job)
        pods = self._pods(name)
        if pods:
            pod = pods[0]
            ending = job.status == "Stopping" and "deletionTimestamp" in pod["metadata"]
            readable = {"terminated", "running"} if ending else {"terminated"}
            log = self._read_log(pod) if step_state(pod) in readable else ""
            if ending:
                return Observation("Stopping", log=log or None)
            if stuck(pod, self._clock()):
                # It must not come to life after the step has failed.
                self.stop(job)
            return observation(pod, log, self._clock())
        if job.status == "Stopping":
            return Observation("Stopped")
        return self._without_pod(job, name)

    def stop(self, job: Job) -> None:
        """Delete the Job; its pod gets SIGTERM, then the grace period."""
        with _translated("delete the Job", ignore=_NOT_FOUND):
            self._batch.delete_namespaced_job(
                manifests.kubernetes_name(job),
                self._settings.namespace,
                propagation_policy="Background",
                _request_timeout=_TIMEOUT,
            )

    def log(self, job: Job) -> str:
        """The step container's log so far."""
        pods = self._pods(manifests.kubernetes_name(job))
        if not pods or step_state(pods[0]) not in {"running", "terminated"}:
            return ""
        return self._read_log(pods[0])

    def sweep(self) -> None:
        """Delete the Jobs of an earlier life: their executions are forgotten."""
        with _translated("delete Jobs of an earlier life"):
            self._batch.delete_collection_namespaced_job(
                self._settings.namespace,
                label_selector=manifests.selector(self._settings.instance),
                propagation_policy="Background",
                _request_timeout=_TIMEOUT,
            )

    def _without_pod(self, job: Job, name: str) -> Observation:
        try:
            found = self._batch.read_namespaced_job(
                name, self._settings.namespace, _request_timeout=_TIMEOUT
            )
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise RunnerError(f"can't read the Job: {_words(error)}") from error
            reason = "InternalServerError: the step's Kubernetes Job was deleted"
            return Observation("Failed", failure_reason=reason)
        except urllib3.exceptions.HTTPError as error:
            raise RunnerError(f"can't read the Job: {error}") from error
        age = self._clock() - found.metadata.creation_timestamp.timestamp()
        if age > _POD_PATIENCE:
            reason = (
                "CapacityError: Kubernetes made no pod for the step, "
                f"see the events of Job {name}: {self._last_event(name)}"
            )
            self.stop(job)
            return Observation("Failed", failure_reason=reason)
        return Observation("Starting")

    def _last_event(self, name: str) -> str:
        with _translated("list the Job's events"):
            events = self._core.list_namespaced_event(
                self._settings.namespace,
                field_selector=f"involvedObject.kind=Job,involvedObject.name={name}",
                _request_timeout=_TIMEOUT,
            )
        messages = [str(event.message) for event in events.items]
        return messages[-1] if messages else "it has none"

    def _pods(self, name: str) -> list[dict[str, Any]]:
        own = manifests.selector(self._settings.instance)
        with _translated("list the step's pod"):
            found = self._core.list_namespaced_pod(
                self._settings.namespace,
                label_selector=f"{own},{manifests.LABEL_NAME}={name}",
                _request_timeout=_TIMEOUT,
            )
        serialised: dict[str, Any] = self._core.api_client.sanitize_for_serialization(
            found
        )
        return serialised["items"] or []

    def _read_log(self, pod: dict[str, Any]) -> str:
        try:
            answer = self._core.read_namespaced_pod_log(
                pod["metadata"]["name"],
                self._settings.namespace,
                container="step",
                _preload_content=False,
                _request_timeout=_TIMEOUT,
            )
            data: bytes = answer.data
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            logger.warning("log of %s: %s", pod["metadata"]["name"], _words(error))
            return ""
        return data[-_LOG_BYTES:].decode(errors="replace")


def connect(settings: manifests.PodSettings, region: str) -> KubernetesRunner:
    """A runner by the pod's own account, or by KUBECONFIG outside a cluster."""
    try:
        config.load_incluster_config()
    except config.ConfigException:
        config.load_kube_config()
    api = client.ApiClient()
    return KubernetesRunner(
        settings, region, batch=client.BatchV1Api(api), core=client.CoreV1Api(api)
    )


@contextmanager
def _translated(what: str, ignore: int | None = None) -> Iterator[None]:
    """Kubernetes' errors end here; a 4xx won't get better by itself."""
    try:
        yield
    except ApiException as error:
        if error.status == ignore:
            return
        permanent = error.status in {400, 403, 422}
        message = f"can't {what}: {_words(error)}"
        raise RunnerError(message, permanent=permanent) from error
    except urllib3.exceptions.HTTPError as error:
        raise RunnerError(f"can't {what}: {error}") from error


def _words(error: Exception) -> str:
    if isinstance(error, ApiException):
        return f"{error.status} {error.reason}: {(error.body or '')[:500]}"
    return str(error)
