"""A release beside the demo's, with a bucket, a queue and a data store of its own."""

import gc
import hashlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from demo.certificates import certificate
from demo.install import COMPONENT_IMAGES
from demo.place import LOCAL_AWS_VALUES, ROOT, images
from demo.port_forward import port_forward
from demo.shell import DemoError
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import CTImageStorage
from support import cluster

from isocenter.storescp.selftest import client_context, phantom

EARLIER = "3f7e38f2e362bf55191227a19c8796d0171f7957"
"""The commit that is upgraded from: the last one whose images were single values."""
TLS_PORT = 11113
_WAIT = ("--wait", "--timeout", "5m")
_PREAMBLE, _GROUP_LENGTH_END = 132, 144


def checkout(folder: Path) -> Path:
    """The earlier commit's files, in a clone that leaves this one as it is."""
    for command in (
        ("git", "clone", "-q", "--shared", "--no-checkout", str(ROOT), str(folder)),
        ("git", "-C", str(folder), "checkout", "-q", EARLIER),
    ):
        subprocess.run(command, check=True, capture_output=True, text=True)
    return folder


def earlier_images(repository: Path, environment: dict[str, str]) -> dict[str, str]:
    """Images of the earlier commit, built where they are not in the registry yet.

    Args:
        repository: from ``checkout``.
        environment: of the build. The list of images goes to a cache of its own: the
            demo's must stay what it is.
    """
    done = subprocess.run(
        [str(repository / "hack/images.sh"), "storescp", "operator"],
        env={**environment, "ISOCENTER_CACHE": str(repository / ".cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@dataclass(frozen=True)
class Platform:
    """What AWS has for one release."""

    bucket: str
    queue_url: str
    datastore_id: str
    pipeline: str

    def values(self) -> Iterator[str]:
        """As arguments of helm."""
        for key, value in (
            ("platform.bucket", self.bucket),
            ("platform.queue_url", self.queue_url),
            ("platform.datastore_id", self.datastore_id),
            ("pipeline.name", self.pipeline),
        ):
            yield from ("--set-string", f"{key}={value}")


@contextmanager
def platform(aws: Callable[[str], Any], name: str) -> Iterator[Platform]:
    """Bucket, queue, rules and data store, as the seed makes the demo's."""
    s3, sqs, events = aws("s3"), aws("sqs"), aws("events")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    sqs.create_queue(QueueName=name)
    with LOCAL_AWS_VALUES.open() as file:
        neighbour = next(line for line in file if "queue_url:" in line).split()[1]
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
    datastore = aws("medical-imaging").create_datastore(
        datastoreName=name, clientToken=name
    )["datastoreId"]
    patterns = {
        "image-sets": {
            "source": ["aws.medical-imaging"],
            "detail": {"datastoreId": [datastore]},
        },
        "batches": {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {
                "bucket": {"name": [name]},
                "object": {"key": [{"prefix": "batches/"}]},
            },
        },
    }
    for rule, pattern in patterns.items():
        events.put_rule(Name=f"{name}-{rule}", EventPattern=json.dumps(pattern))
        events.put_targets(Rule=f"{name}-{rule}", Targets=[{"Id": "queue", "Arn": arn}])
    # The queue's address as pods see it, not as the call came in.
    url = f"{neighbour.strip(chr(34)).rpartition('/')[0]}/{name}"
    try:
        yield Platform(name, url, datastore, name)
    finally:
        for rule in patterns:
            events.remove_targets(Rule=f"{name}-{rule}", Ids=["queue"])
            events.delete_rule(Name=f"{name}-{rule}")


def single_images(references: dict[str, str]) -> Iterator[str]:
    """The earlier chart's image values."""
    for component, image in COMPONENT_IMAGES.items():
        yield from ("--set-string", f"{component}.image={references[image]}")


@dataclass(frozen=True)
class Release:
    """A release of the product's chart, of whichever commit."""

    name: str
    namespace: str
    platform: Platform

    def install(self, chart: Path, values: Path, *images: str) -> None:
        """Install, or upgrade to, a chart; returns when all of it is ready."""
        self._helm(
            *("upgrade", "--install", self.name, str(chart), *_WAIT),
            *("--values", str(values), *images, *self.platform.values()),
            # No more pods than the test needs; the definitions are the demo's.
            *("--set", "crds.enabled=false,viewer.enabled=false"),
            *("--set", "tlmProxy.enabled=false,fetcher.enabled=false"),
            # The modality never rests, so age is what closes a batch.
            *("--set", "storescp.config.batch_max_age_s=10"),
        )

    def rollback(self, revision: int) -> None:
        """Go back; returns when all of it is ready."""
        self._helm("rollback", self.name, str(revision), *_WAIT)

    def test(self) -> str:
        """Run the chart's test; gives what it printed."""
        return self._helm("test", self.name, "--timeout", "15m")

    def uninstall(self) -> None:
        """Remove the release; returns when its pods are gone."""
        self._helm("uninstall", self.name, *_WAIT)

    def _helm(self, *arguments: str) -> str:
        done = subprocess.run(
            ["helm", *arguments, "--namespace", self.namespace],
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, f"helm {arguments[0]}: {said}"
        return said


def install_tls(namespace: str, secret: str) -> None:
    """The demo's certificate for a namespace."""
    made = certificate()
    cluster.run(
        *("-n", namespace, "create", "secret", "tls", secret),
        *(f"--cert={made}", f"--key={made.with_name('tls.key')}"),
    )


def present_images() -> dict[str, str]:
    """References that ``make images`` wrote."""
    return images()


@dataclass
class Modality:
    """Sends one instance after the other, each until it is acknowledged.

    Attributes:
        acknowledged: SHA-256 of the data set by SOP Instance UID.
        interruptions: associations that did not come about or did not end well.
    """

    namespace: str
    service: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    interruptions: int = 0
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modality")
        self._waiting = phantom(100_000, datetime.now(UTC))
        self._current = next(self._waiting)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """No instance is sent after this."""
        self._stop.set()
        self._thread.join()
        # While the test that knows of it still runs: see its filters.
        gc.collect()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    self._association()
                except DemoError:
                    self.interruptions += 1
                self._stop.wait(0.3)
        except BaseException as error:  # noqa: BLE001 - the test's own thread raises it
            self.failure = error

    def _association(self) -> None:
        """Sends some instances in one association, over a way of its own."""
        entity = AE("MODALITY")
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
        entity.connection_timeout = 20
        entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        tls = client_context([certificate()], None)
        with port_forward(self.namespace, self.service, TLS_PORT) as port:
            assoc = entity.associate(
                "localhost", port, ae_title="S3SCP", tls_args=(tls, None)
            )
            if not assoc.is_established:
                raise DemoError("no association")
            try:
                for _ in range(20):
                    if self._stop.wait(0.1):
                        return
                    status = assoc.send_c_store(self._current).get("Status")
                    if status != 0x0000:
                        raise DemoError(f"status {status}")
                    digest = hashlib.sha256(encoded(self._current)).hexdigest()
                    self.acknowledged[str(self._current.SOPInstanceUID)] = digest
                    self._current = next(self._waiting)
            except RuntimeError as error:
                raise DemoError("the association is gone") from error
            finally:
                assoc.release()


def encoded(dataset: Any) -> bytes:
    """The data set's bytes, Explicit VR Little Endian."""
    content = encode(dataset, is_implicit_vr=False, is_little_endian=True)
    assert content is not None
    return bytes(content)


def data_set_sha256(part10: bytes) -> str:
    """SHA-256 of what follows the File Meta Information (PS3.10 section 7.1)."""
    assert part10[128:_PREAMBLE] == b"DICM"
    length = int.from_bytes(part10[_GROUP_LENGTH_END - 4 : _GROUP_LENGTH_END], "little")
    return hashlib.sha256(part10[_GROUP_LENGTH_END + length :]).hexdigest()


def sealed(s3: Any, bucket: str) -> list[dict[str, Any]]:
    """Every instance that a batch's manifest names."""
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix="batches/"
    )
    return [
        instance
        for page in pages
        for entry in page.get("Contents", ())
        for instance in json.loads(_content(s3, bucket, entry["Key"]))["instances"]
    ]


def stored(s3: Any, bucket: str) -> dict[str, set[str]]:
    """SHA-256 of each data set in a sealed batch, by SOP Instance UID."""
    found: dict[str, set[str]] = {}
    for instance in sealed(s3, bucket):
        content = _content(s3, bucket, instance["key"])
        assert hashlib.sha256(content).hexdigest() == instance["sha256"]
        digests = found.setdefault(instance["sopInstanceUid"], set())
        digests.add(data_set_sha256(content))
    return found


def _content(s3: Any, bucket: str, key: str) -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
