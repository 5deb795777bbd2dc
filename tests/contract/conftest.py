"""The local AWS, what is in it, and real processes of the product beside it."""

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import boto3
import httpx
import pydicom
import pytest
from demo.unpack import unpack
from pydicom.uid import generate_uid
from support.local_aws import (
    BUCKET,
    DATASTORE,
    QUEUE,
    RULES,
    local_aws_variables,
)
from support.ports import free_ports

DATA = Path(__file__).resolve().parents[1] / "data"
ROLE = "arn:aws:iam::111122223333:role/import"


@dataclass(frozen=True)
class Study:
    """An imported study: one image set of a data store."""

    datastore_id: str
    image_set_id: str


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    """AWS's variables, set for this process, leading to a local AWS."""
    with local_aws_variables(tmp_path_factory.mktemp("aws")) as variables:
        yield variables


@pytest.fixture(scope="session")
def s3(aws):
    return boto3.client("s3")


@pytest.fixture(scope="session")
def sqs(aws):
    return boto3.client("sqs")


@pytest.fixture(scope="session")
def imaging(aws):
    return boto3.client("medical-imaging")


@pytest.fixture(scope="session")
def sagemaker(aws):
    return boto3.client("sagemaker")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of tests/data."""
    return DATA


@pytest.fixture(scope="session")
def bucket(aws) -> str:
    return BUCKET


@pytest.fixture(scope="session")
def datastore_id(imaging) -> str:
    """The data store of the seed."""
    stores = imaging.list_datastores()["datastoreSummaries"]
    return next(s["datastoreId"] for s in stores if s["datastoreName"] == DATASTORE)


@pytest.fixture(scope="session")
def make_datastore(imaging, wait_for):
    """Makes a data store of a test's own; answers its id."""

    def make(name: str) -> str:
        made = imaging.create_datastore(datastoreName=name, clientToken=name)
        found = made["datastoreId"]

        def active():
            properties = imaging.get_datastore(datastoreId=found)
            status = properties["datastoreProperties"]["datastoreStatus"]
            return status == "ACTIVE" or None

        wait_for(active)
        return found

    return make


@pytest.fixture(scope="session")
def upload(s3):
    """Puts bodies under a prefix of the bucket; answers the prefix's URI."""

    def put(prefix: str, bodies: Iterable[bytes], suffix: str = "dcm") -> str:
        for number, body in enumerate(bodies):
            s3.put_object(
                Bucket=BUCKET, Key=f"{prefix}{number:04d}.{suffix}", Body=body
            )
        return f"s3://{BUCKET}/{prefix}"

    return put


@pytest.fixture(scope="session")
def import_files(imaging, s3, upload, wait_for):
    """Imports bodies without the product; answers the ids of the image sets."""

    def run(datastore: str, prefix: str, bodies: Iterable[bytes]) -> list[str]:
        job_id = imaging.start_dicom_import_job(
            datastoreId=datastore,
            clientToken=prefix.replace("/", "-"),
            dataAccessRoleArn=ROLE,
            inputS3Uri=upload(prefix, bodies),
            outputS3Uri=f"s3://{BUCKET}/by-hand/",
        )["jobId"]

        def ended():
            job = imaging.get_dicom_import_job(datastoreId=datastore, jobId=job_id)
            found = job["jobProperties"]
            return found if found["jobStatus"] in {"COMPLETED", "FAILED"} else None

        job = wait_for(ended)
        assert job["jobStatus"] == "COMPLETED", job
        key = job["outputS3Uri"].removeprefix(f"s3://{BUCKET}/")
        body = s3.get_object(Bucket=BUCKET, Key=f"{key}job-output-manifest.json")
        manifest = json.loads(body["Body"].read())
        summaries = manifest["jobSummary"]["imageSetsSummary"]
        return [summary["imageSetId"] for summary in summaries]

    return run


@pytest.fixture(scope="session")
def ct_files(tmp_path_factory) -> list[Path]:
    """The real CT study, 28 slices."""
    folder = tmp_path_factory.mktemp("ct")
    with tarfile.open(DATA / "ct_head.tar.xz") as archive:
        unpack(archive, folder)
    return sorted((folder / "ct_head").iterdir())


@pytest.fixture(scope="session")
def ct_study(make_datastore, import_files, ct_files) -> Study:
    """The whole CT study in a data store of its own."""
    datastore = make_datastore("ct")
    bodies = (file.read_bytes() for file in ct_files)
    (image_set,) = import_files(datastore, "DICOM/ct/", bodies)
    return Study(datastore, image_set)


@pytest.fixture(scope="session")
def make_slice(ct_files):
    """A small slice of a new study, or of the series of an earlier one."""

    def make(like: bytes | None = None) -> bytes:
        dataset = pydicom.dcmread(BytesIO(like) if like else ct_files[0])
        if like is None:
            pixels = dataset.pixel_array[:32, :32]
            dataset.Rows, dataset.Columns = pixels.shape
            dataset.PixelData = pixels.tobytes()
            dataset.StudyInstanceUID = generate_uid()
            dataset.SeriesInstanceUID = generate_uid()
        dataset.SOPInstanceUID = generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        buffer = BytesIO()
        dataset.save_as(buffer)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def queue_url(sqs) -> str:
    return sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]


@pytest.fixture(scope="session")
def make_queue(sqs):
    """A queue of a test's own, with a dead-letter queue, that every rule feeds.

    Gives the URLs of both.
    """
    events = boto3.client("events")

    def arn(url: str) -> str:
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]

    @contextmanager
    def make(name: str) -> Iterator[tuple[str, str]]:
        dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        policy = {"deadLetterTargetArn": arn(dead), "maxReceiveCount": "2"}
        url = sqs.create_queue(
            QueueName=name, Attributes={"RedrivePolicy": json.dumps(policy)}
        )["QueueUrl"]
        for rule in RULES:
            events.put_targets(Rule=rule, Targets=[{"Id": name, "Arn": arn(url)}])
        yield url, dead
        for rule in RULES:
            events.remove_targets(Rule=rule, Ids=[name])

    return make


@pytest.fixture(scope="session")
def control(aws):
    """A call of the local AWS's controls: method, service, path below, body."""
    bases = {
        "healthimaging": aws["AWS_ENDPOINT_URL_MEDICAL_IMAGING"],
        "sagemaker": aws["AWS_ENDPOINT_URL_SAGEMAKER"],
    }

    def call(method: str, service: str, path: str, **body: object) -> None:
        url = f"{bases[service]}/_devcloud/{service}/{path}"
        httpx.request(method, url, json=body).raise_for_status()

    return call


def until(look: Callable[[], object], *, seconds: float = 60) -> object:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = look()
        if result is not None:
            return result
        time.sleep(0.1)
    raise AssertionError(f"not seen within {seconds} s")


@pytest.fixture(scope="session")
def wait_for():
    return until


def script(name: str) -> str:
    """A console script of this environment."""
    return str(Path(sys.executable).with_name(name))


@pytest.fixture(scope="session")
def command(aws):
    """Runs a console script to its end."""

    def run(
        name: str, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [script(name), *arguments],
            env={**os.environ, **aws, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def ports():
    return free_ports


@pytest.fixture(scope="session")
def serving(aws, tmp_path_factory):
    """Runs a console script until the block ends; SIGTERM must end it with 0.

    ``ready`` is asked until it answers 200.
    """

    @contextmanager
    def run(
        name: str, *arguments: str, ready: str, **variables: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        log = tmp_path_factory.mktemp(name) / "log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [script(name), *arguments],
                env={**os.environ, **aws, **variables},
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        try:

            def answers():
                assert process.poll() is None, log.read_text()
                try:
                    return httpx.get(ready, timeout=2).status_code == 200 or None
                except httpx.TransportError:
                    return None

            until(answers)
            yield process
            if process.poll() is None:
                process.terminate()
                assert process.wait(timeout=60) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()

    return run


@pytest.fixture(scope="session")
def patched():
    """A resource after the merge patch of its status (RFC 7386)."""

    def merge(body: dict, patch: dict) -> dict:
        status = {**body.get("status", {}), **patch}
        kept = {key: value for key, value in status.items() if value is not None}
        return {**body, "status": kept}

    return merge
