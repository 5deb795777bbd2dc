"""Both charts on the cluster: the local AWS and the product."""

from collections.abc import Iterator

from demo.certificates import install_secret
from demo.place import (
    AWS_NAMESPACE,
    LOCAL_AWS_VALUES,
    NAMESPACE,
    PROXY_NODE_PORT,
    ROOT,
    VIEWER_NODE_PORT,
    images,
    local_cluster,
)
from demo.ready import ready
from demo.shell import apply, kubectl, run, say

TRIGGER = "every-image-set"
COMPONENT_IMAGES = {
    "storescp": "storescp",
    "tlmProxy": "tlm-proxy",
    "viewer": "viewer",
    "fetcher": "fetcher",
    "operator": "operator",
    "pipeline": "trainer",
}
"""Component of charts/isocenter -> image, as hack/images.sh names it."""


def _namespace(name: str) -> None:
    apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        }
    )


def _helm(release: str, namespace: str, *arguments: str) -> None:
    run(
        *("helm", "upgrade", "--install", release, str(ROOT / "charts" / release)),
        *("--namespace", namespace),
        *arguments,
    )


def install() -> None:
    """Install or upgrade everything; returns when all of it is ready.

    The images are passed by content, so what has not changed is left running.
    """
    image = images()
    _namespace(AWS_NAMESPACE)
    _namespace(NAMESPACE)
    say("installing charts/devcloud (the local AWS)")
    _helm("devcloud", AWS_NAMESPACE, "--set-string", f"image={image['devcloud']}")
    ready(AWS_NAMESPACE)
    install_secret()
    say("installing charts/isocenter")
    _helm(
        *("isocenter", NAMESPACE, "--values", str(LOCAL_AWS_VALUES)),
        *component_images(image),
        *(_node_port() if local_cluster() else ()),
    )
    ready(NAMESPACE)
    apply_trigger()


def component_images(references: dict[str, str]) -> Iterator[str]:
    """The chart's image values for references as hack/images.sh prints them."""
    for component, name in COMPONENT_IMAGES.items():
        registry, _, rest = references[name].rpartition("/isocenter/")
        repository, _, tag = rest.rpartition(":")
        for key, value in (
            ("registry", registry),
            ("repository", f"isocenter/{repository}"),
            ("tag", tag),
        ):
            yield from ("--set-string", f"{component}.image.{key}={value}")


def _node_port() -> tuple[str, ...]:
    return (
        *("--set-string", "tlmProxy.service.type=NodePort"),
        *("--set", f"tlmProxy.service.nodePort={PROXY_NODE_PORT}"),
        *("--set-string", "viewer.service.type=NodePort"),
        *("--set", f"viewer.service.nodePort={VIEWER_NODE_PORT}"),
    )


def datastore_id() -> str:
    """The data store that the release was installed with."""
    return run(
        *("helm", "get", "values", "isocenter", "-n", NAMESPACE, "-o", "json"),
    ).split('"datastore_id":"')[1][:32]


def apply_trigger() -> None:
    """Every new image set of the data store starts the default pipeline."""
    apply(
        {
            "apiVersion": "isocenter.dev/v1alpha1",
            "kind": "TrainingTrigger",
            "metadata": {"name": TRIGGER, "namespace": NAMESPACE},
            "spec": {
                "datastoreId": datastore_id(),
                "template": {"pipeline": {"name": "ahi-mlops-pipeline"}},
            },
        }
    )


def uninstall() -> None:
    """Take both releases, their namespaces and the resource kinds away."""
    for release, namespace in (("isocenter", NAMESPACE), ("devcloud", AWS_NAMESPACE)):
        say(f"removing {release}")
        run(
            *("helm", "uninstall", release, "--namespace", namespace),
            *("--ignore-not-found", "--wait"),
        )
        kubectl("delete", "namespace", namespace, "--ignore-not-found")
    kubectl(
        *("delete", "crd", "--ignore-not-found", "trainingruns.isocenter.dev"),
        *("trainingtriggers.isocenter.dev", "dicomimportjobs.isocenter.dev"),
    )
