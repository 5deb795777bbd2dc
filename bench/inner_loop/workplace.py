"""A copy of the tree, and a namespace with a release of its own for it."""

import contextlib
import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from botocore.exceptions import ClientError
from demo import local_aws
from demo.certificates import SECRET, certificate
from demo.place import ROOT
from demo.shell import apply, kubectl, run

RELEASE = "isocenter"
_VALUES = Path("charts/devcloud/isocenter-values.yaml")


@dataclass(frozen=True)
class Workplace:
    """Where a loop runs.

    Attributes:
        tree: the copy that may be edited.
        namespace: where its release is.
    """

    tree: Path
    namespace: str


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[Workplace]:
    """Make both in ``folder``; the namespace, its bucket and queue go with the block.

    The platform of `make demo` is neither changed nor read, but for its local AWS.
    """
    name = f"inner-loop-{uuid.uuid4().hex[:6]}"
    tree = folder / "tree"
    copy_tree(tree)
    with local_aws.client("sqs") as sqs, local_aws.client("s3") as s3:
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        s3.create_bucket(Bucket=name)
    _write_values(tree, name)
    _make_namespace(name)
    try:
        yield Workplace(tree, name)
    finally:
        run("helm", "uninstall", RELEASE, "-n", name, "--ignore-not-found")
        kubectl("delete", "namespace", name, "--wait=false")
        # A local AWS that was started anew since then holds neither.
        with contextlib.suppress(ClientError):
            _remove(queue, name)


def _remove(queue: str, bucket: str) -> None:
    with local_aws.client("sqs") as sqs, local_aws.client("s3") as s3:
        sqs.delete_queue(QueueUrl=queue)
        for item in s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
        s3.delete_bucket(Bucket=bucket)


def copy_tree(target: Path) -> None:
    """Copy what git knows or would take, as it is in the checkout now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source, copy = ROOT / name, target / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)


def _write_values(tree: Path, name: str) -> None:
    """The local AWS's values, with a bucket, a queue and a pipeline of our own."""
    values = yaml.safe_load((tree / _VALUES).read_text())
    platform = values["platform"]
    platform["queue_url"] = platform["queue_url"].rsplit("/", 1)[0] + f"/{name}"
    platform["bucket"] = name
    values["crds"] = {"enabled": False}
    values["pipeline"]["name"] = name
    (tree / _VALUES).write_text(json.dumps(values))  # YAML too


def _make_namespace(name: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        }
    )
    made = certificate()
    kubectl(
        *("-n", name, "create", "secret", "tls", SECRET),
        *(f"--cert={made}", f"--key={made.with_name('tls.key')}"),
    )
