"""The Kubernetes Job of a step: one pod that downloads, runs, uploads.

Init container `inputs`, init container `step` (the step's own image), container
`outputs`; emptyDirs carry /opt/ml from one to the next. Fits Pod Security
"restricted".
"""

import json
from dataclasses import dataclass, field
from typing import Any

from isocenter.devcloud.sagemaker.container import Container
from isocenter.devcloud.sagemaker.models import Job

# Labels are how we know what is ours: nothing else is ever touched.
MANAGED_BY = "isocenter-devcloud"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_NAME = "app.kubernetes.io/name"
ANNOTATION_JOB = "devcloud/job-arn"
USER = 10001
# One argument of a process may have 128 KiB (Linux, MAX_ARG_STRLEN).
MAX_PLAN = 128 * 1024 - 1


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What all step pods have in common."""

    namespace: str
    instance: str
    devcloud_image: str
    image_pull_policy: str
    service_account: str
    environment: dict[str, str]
    ttl_seconds: int
    resources: dict[str, dict[str, str]] = field(default_factory=dict)
    moving_resources: dict[str, dict[str, str]] = field(default_factory=dict)


class PlanTooLongError(ValueError):
    """What a step is to download does not fit into one process argument."""


def kubernetes_name(job: Job) -> str:
    """SageMaker's job name, as Kubernetes allows it."""
    return job.name.lower()


def selector(instance: str) -> str:
    """The label selector of everything that one devcloud made."""
    return f"{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_INSTANCE}={instance}"


def manifest(
    job: Job, container: Container, settings: PodSettings, max_runtime: int
) -> dict[str, Any]:
    """The batch/v1 Job of a SageMaker job; raises PlanTooLongError."""
    labels = {
        LABEL_NAME: kubernetes_name(job),
        LABEL_INSTANCE: settings.instance,
        LABEL_MANAGED_BY: MANAGED_BY,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": kubernetes_name(job),
            "namespace": settings.namespace,
            "labels": labels,
            "annotations": {ANNOTATION_JOB: job.arn},
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "ttlSecondsAfterFinished": settings.ttl_seconds,
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {ANNOTATION_JOB: job.arn},
                },
                "spec": _pod(container, settings, max_runtime),
            },
        },
    }


def _pod(
    container: Container, settings: PodSettings, max_runtime: int
) -> dict[str, Any]:
    mounts = [{"name": _volume(path), "mountPath": path} for path in container.volumes]
    volumes = [{"name": _volume(path), "emptyDir": {}} for path in container.volumes]
    return {
        "restartPolicy": "Never",
        # On the pod, not on the Job: a Job's deadline deletes the pod and its log.
        "activeDeadlineSeconds": max_runtime,
        "terminationGracePeriodSeconds": 30,
        "serviceAccountName": settings.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [
            _moving("inputs", container.inputs, mounts, settings),
            _step(container, mounts, settings),
        ],
        "containers": [_moving("outputs", container.outputs, mounts, settings)],
        "volumes": [*volumes, {"name": "tmp", "emptyDir": {}}],
    }


def _step(
    container: Container, mounts: list[dict[str, str]], settings: PodSettings
) -> dict[str, Any]:
    step: dict[str, Any] = {
        "name": "step",
        "image": container.image,
        "imagePullPolicy": settings.image_pull_policy,
        "env": _environment({**settings.environment, **container.environment}),
        "resources": settings.resources,
        "securityContext": _security(),
        "volumeMounts": mounts,
        "terminationMessagePath": container.message_path,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if container.entrypoint:
        step["command"] = [_literal(part) for part in container.entrypoint]
    if container.arguments:
        step["args"] = [_literal(part) for part in container.arguments]
    return step


def _moving(
    name: str,
    plan: dict[str, Any],
    mounts: list[dict[str, str]],
    settings: PodSettings,
) -> dict[str, Any]:
    text = _literal(json.dumps(plan, separators=(",", ":")))
    if len(text.encode()) > MAX_PLAN:
        raise PlanTooLongError(
            f"the {name} of the step take {len(text)} characters to name, "
            f"more than {MAX_PLAN}"
        )
    return {
        "name": name,
        "image": settings.devcloud_image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["isocenter-devcloud"],
        "args": [name, text],
        "env": _environment(settings.environment),
        "resources": settings.moving_resources,
        "securityContext": {**_security(), "readOnlyRootFilesystem": True},
        "volumeMounts": [*mounts, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - an emptyDir of the pod
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def _environment(environment: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"name": name, "value": _literal(value)}
        for name, value in sorted(environment.items())
    ]


def _literal(text: str) -> str:
    """Kubernetes expands `$(NAME)` in arguments and values; SageMaker does not."""
    return text.replace("$(", "$$(")


def _volume(path: str) -> str:
    return path.removeprefix("/").replace("/", "-")
