"""The local AWS as a process of its own, reached over HTTP only."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from support.ports import free_ports

REGION = "eu-west-1"
ACCOUNT = "111122223333"
BUCKET = "isocenter-data"
QUEUE = "isocenter-events"
DATASTORE = "isocenter"
_START_S = 60
RULES = {
    "image-sets": {
        "source": ["aws.medical-imaging"],
        "detail-type": [
            *("Image Set Created", "Image Set Updated", "Image Set Copied"),
            *("Import Job Completed", "Import Job Failed"),
        ],
    },
    "batches": {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"object": {"key": [{"prefix": "batches/"}]}},
    },
    "executions": {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Building Pipeline Execution Status Change"],
    },
}


def seed() -> list[dict[str, object]]:
    """The account that the product expects, as AWS calls in order."""
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}"
    calls: list[tuple[str, str, dict[str, object]]] = [
        (
            "s3",
            "CreateBucket",
            {
                "Bucket": BUCKET,
                "CreateBucketConfiguration": {"LocationConstraint": REGION},
            },
        ),
        (
            "s3",
            "PutBucketNotificationConfiguration",
            {
                "Bucket": BUCKET,
                "NotificationConfiguration": {"EventBridgeConfiguration": {}},
            },
        ),
        ("sqs", "CreateQueue", {"QueueName": QUEUE}),
        (
            "medical-imaging",
            "CreateDatastore",
            {"clientToken": "contract", "datastoreName": DATASTORE},
        ),
    ]
    for name, pattern in RULES.items():
        calls += [
            (
                "events",
                "PutRule",
                {"Name": name, "EventPattern": json.dumps(pattern)},
            ),
            (
                "events",
                "PutTargets",
                {"Rule": name, "Targets": [{"Id": "queue", "Arn": arn}]},
            ),
        ]
    return [
        {"service": service, "operation": operation, "parameters": parameters}
        for service, operation, parameters in calls
    ]


@contextmanager
def local_aws(folder: Path) -> Iterator[dict[str, str]]:
    """Start it in a folder; gives AWS's variables that lead to it."""
    aws_port, imaging_port, sagemaker_port = free_ports(3)
    seed_file = folder / "seed.yaml"
    seed_file.write_text(yaml.safe_dump(seed()))
    log = (folder / "local-aws.log").open("w")
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("isocenter-devcloud"))],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
            "DEVCLOUD_AWS_PORT": str(aws_port),
            "DEVCLOUD_HEALTHIMAGING_PORT": str(imaging_port),
            "DEVCLOUD_SAGEMAKER_PORT": str(sagemaker_port),
            "DEVCLOUD_PUBLIC_URL": "http://127.0.0.1",
            "DEVCLOUD_REGION": REGION,
            "DEVCLOUD_ACCOUNT_ID": ACCOUNT,
            "DEVCLOUD_DATA_DIR": str(folder / "data"),
            "DEVCLOUD_SEED_FILE": str(seed_file),
            "DEVCLOUD_EXECUTOR": "manual",
            "DEVCLOUD_TICK_SECONDS": "0.1",
        },
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    base = "http://127.0.0.1"
    try:
        _wait(process, f"{base}:{sagemaker_port}/_devcloud/health", folder)
        yield {
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "AWS_ENDPOINT_URL": f"{base}:{aws_port}",
            "AWS_ENDPOINT_URL_MEDICAL_IMAGING": f"{base}:{imaging_port}",
            "AWS_ENDPOINT_URL_SAGEMAKER": f"{base}:{sagemaker_port}",
        }
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


@contextmanager
def local_aws_variables(folder: Path) -> Iterator[dict[str, str]]:
    """The same, with the variables set for this process too."""
    with local_aws(folder) as variables:
        before = dict(os.environ)
        os.environ.update(variables)
        yield variables
        os.environ.clear()
        os.environ.update(before)


def _wait(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError((folder / "local-aws.log").read_text()[-4000:])
