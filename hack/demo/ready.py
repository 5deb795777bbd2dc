"""Waiting for a namespace's workloads, told while it lasts."""

from typing import Any

from demo.shell import DemoError, get, kubectl
from demo.waiting import until

_GIVEN_UP_AFTER_RESTARTS = 3


def ready(namespace: str, *, limit_s: float = 300) -> None:
    """Wait until every workload of a namespace runs what was asked for.

    Raises:
        DemoError: a container keeps failing; its last words are in the text.
    """

    def look() -> tuple[str, bool | None]:
        waiting = [
            f"{item['kind'].lower()} {item['metadata']['name']}"
            for kind in ("deployments", "statefulsets", "jobs")
            for item in get(namespace, kind)
            if not _done(item)
        ]
        _refuse_failing_pods(namespace)
        if waiting:
            return f"waiting for {', '.join(waiting)}", None
        return f"everything in {namespace} is ready", True

    until(look, limit_s)


def _done(item: dict[str, Any]) -> bool:
    spec, status = item["spec"], item.get("status", {})
    if item["kind"] == "Job":
        # Jobs of pipeline steps end as they will; only the chart's own count.
        chart = item["metadata"].get("labels", {}).get("helm.sh/chart")
        return not chart or bool(status.get("succeeded"))
    wanted = spec.get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= item["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted
        and status.get("readyReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
    )


def _refuse_failing_pods(namespace: str) -> None:
    for pod in get(namespace, "pods"):
        for container in pod.get("status", {}).get("containerStatuses", []):
            waiting = container["state"].get("waiting", {}).get("reason", "")
            if (
                container["restartCount"] >= _GIVEN_UP_AFTER_RESTARTS
                and waiting == "CrashLoopBackOff"
            ) or waiting in {"ErrImagePull", "ImagePullBackOff", "InvalidImageName"}:
                name = pod["metadata"]["name"]
                words = (
                    kubectl("-n", namespace, "logs", name, "--tail=3", "--previous")
                    if container["restartCount"]
                    else container["state"]["waiting"].get("message", "")
                )
                raise DemoError(f"pod {name}: {waiting}\n{words.strip()}")
