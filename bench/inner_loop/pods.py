"""Which pod serves a change, read from the cluster in use."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from bench.inner_loop.services import Service

_LOOK_EVERY_S = 0.2


@dataclass
class Seen:
    """Seconds from the change to each step; only what was seen.

    Attributes:
        steps: by name, in the order they were seen.
    """

    began: float
    steps: dict[str, float] = field(default_factory=dict)

    def note(self, step: str) -> None:
        """Keep when a step was seen for the first time."""
        self.steps.setdefault(step, time.monotonic() - self.began)


def connect() -> client.CoreV1Api:
    """The cluster of the current context."""
    config.load_kube_config()
    return client.CoreV1Api()


def await_change(
    api: client.CoreV1Api,
    namespace: str,
    service: Service,
    mark: str,
    *,
    seen: Seen,
    seconds: float,
) -> float:
    """Wait until a new pod of the service is ready (or has ended) and shows the mark.

    Returns:
        Seconds from ``seen.began``.

    Raises:
        TimeoutError: not seen in time; the text says which steps were.
    """
    before = {pod.metadata.uid for pod in _pods(api, namespace, service)}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for pod in _pods(api, namespace, service):
            if pod.metadata.uid in before:
                continue
            for step in _steps(pod):
                seen.note(step)
            if _done(pod, service) and mark in _shown(api, pod, service):
                seen.note("serving")
                return seen.steps["serving"]
        time.sleep(_LOOK_EVERY_S)
    raise TimeoutError(
        f"no new pod of {service.component} in {namespace} shows the change after"
        f" {seconds:.0f} s; seen: {seen.steps or 'nothing'}"
    )


def _pods(api: client.CoreV1Api, namespace: str, service: Service) -> list[Any]:
    selector = f"app.kubernetes.io/component={service.component}"
    pods: list[Any] = api.list_namespaced_pod(namespace, label_selector=selector).items
    return pods


def _steps(pod: Any) -> Iterator[str]:
    yield "pod made"
    if pod.spec.node_name:
        yield "scheduled"
    for status in pod.status.container_statuses or ():
        if status.state.running or status.state.terminated:
            yield "started"


def _done(pod: Any, service: Service) -> bool:
    if pod.metadata.deletion_timestamp:
        return False
    if service.ends:
        return bool(pod.status.phase == "Succeeded")
    conditions = pod.status.conditions or ()
    return any(one.type == "Ready" and one.status == "True" for one in conditions)


def _shown(api: client.CoreV1Api, pod: Any, service: Service) -> str:
    """The page, or the log's first lines; empty while there is none."""
    name, namespace = pod.metadata.name, pod.metadata.namespace
    try:
        if service.page:
            text: str = api.connect_get_namespaced_pod_proxy_with_path(
                f"{name}:8080", namespace, service.page.lstrip("/")
            )
        else:
            text = api.read_namespaced_pod_log(name, namespace, limit_bytes=65536)
    except ApiException:
        return ""
    return text
