"""DICOM data sets made on the spot, and a HealthImaging beside a moto server."""

import contextlib
import io
import json
import socket
import threading
import time
from types import SimpleNamespace

import boto3
import numpy as np
import pydicom
import pytest
import uvicorn
from botocore.config import Config
from moto.server import ThreadedMotoServer
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from isocenter.devcloud.healthimaging.app import create_app
from isocenter.devcloud.healthimaging.importing import JobLimits

ACCOUNT = "123456789012"
REGION = "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/import"


def make_dataset(
    pixels=None, *, transfer_syntax_uid=ExplicitVRLittleEndian, **attributes
):
    """A CT instance, or whatever ``attributes`` (by keyword) make of it."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = transfer_syntax_uid
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.ImplementationClassUID = "1.2.3.4"
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID = "1.2.3.100"
    ds.SeriesInstanceUID = "1.2.3.200"
    ds.StudyDate = "20240102"
    ds.StudyTime = "101112"
    ds.StudyID = "S1"
    ds.AccessionNumber = "A1"
    ds.PatientName = "Test^Only"
    ds.PatientID = "P1"
    ds.Modality = "CT"
    ds.SeriesNumber = "3"
    ds.InstanceNumber = "1"
    if pixels is not None:
        samples = pixels.shape[-1] if pixels.ndim == 3 and pixels.shape[-1] == 3 else 1
        ds.Rows, ds.Columns = pixels.shape[-3:-1] if samples == 3 else pixels.shape[-2:]
        ds.SamplesPerPixel = samples
        ds.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
        if samples == 3:
            ds.PlanarConfiguration = 0
        bits = pixels.dtype.itemsize * 8
        ds.BitsAllocated = ds.BitsStored = bits
        ds.HighBit = bits - 1
        ds.PixelRepresentation = int(pixels.dtype.kind == "i")
        if samples == 1 and pixels.ndim == 3:
            ds.NumberOfFrames = pixels.shape[0]
        ds.PixelData = pixels.tobytes()
        ds["PixelData"].VR = "OW" if bits > 8 else "OB"
    for keyword, value in attributes.items():
        if value is ...:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID") or "1.2"
    return ds


def to_bytes(ds):
    """The data set as a P10 file."""
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def read_back(ds):
    """The data set as a reader gets it: values still raw."""
    return pydicom.dcmread(io.BytesIO(to_bytes(ds)))


@pytest.fixture(scope="session")
def dataset():
    return make_dataset


@pytest.fixture(scope="session")
def p10():
    return to_bytes


@pytest.fixture(scope="session")
def reread():
    return read_back


@pytest.fixture(scope="session")
def noise():
    """Reproducible pixels of a shape and type, over the type's whole range."""

    def make(shape, dtype):
        info = np.iinfo(dtype)
        generator = np.random.default_rng(7)
        return generator.integers(info.min, info.max, shape, dtype, endpoint=True)

    return make


@contextlib.contextmanager
def serve(app):
    """The URL of an app that uvicorn serves in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listening.close()


class Cloud:
    """HealthImaging's client, and the S3, SQS and events it works with."""

    def __init__(self, url, s3, events, sqs, client):
        self.url, self.s3, self.events, self.sqs = url, s3, events, sqs
        self.client = client

    def datastore(self, token="store", **more):
        datastore_id = self.client.create_datastore(
            datastoreName="a-store", clientToken=token, **more
        )["datastoreId"]
        self.wait(
            lambda: (
                self.client.get_datastore(datastoreId=datastore_id)[
                    "datastoreProperties"
                ]["datastoreStatus"]
                == "ACTIVE"
            )
        )
        return datastore_id

    def start(self, datastore_id, prefix, **more):
        request = {
            "datastoreId": datastore_id,
            "clientToken": prefix.replace("/", "."),
            "dataAccessRoleArn": ROLE,
            "inputS3Uri": f"s3://images/{prefix}",
            "outputS3Uri": "s3://images/output/",
            **more,
        }
        return self.client.start_dicom_import_job(**request)["jobId"]

    def finish(self, datastore_id, job_id):
        def ended():
            job = self.client.get_dicom_import_job(
                datastoreId=datastore_id, jobId=job_id
            )
            job = job["jobProperties"]
            return job if job["jobStatus"] in ("COMPLETED", "FAILED") else None

        return self.wait(ended, 50)

    def put(self, key, body):
        self.s3.put_object(Bucket="images", Key=key, Body=body)

    def get(self, s3_uri):
        bucket, key = s3_uri.removeprefix("s3://").split("/", 1)
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def wait(self, call, seconds=20):
        deadline = time.monotonic() + seconds
        while not (result := call()):
            assert time.monotonic() < deadline, "it took too long"
            time.sleep(0.05)
        return result


@pytest.fixture(scope="session")
def cloud_of(tmp_path_factory):
    """Make a Cloud; the moto server is shared, its state is not reset."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    options = {
        "region_name": REGION,
        "aws_access_key_id": "x",
        "aws_secret_access_key": "x",
    }

    def client(name, url):
        config = Config(inject_host_prefix=False, retries={"total_max_attempts": 1})
        return boto3.client(name, endpoint_url=url, config=config, **options)

    moto_url = f"http://{host}:{port}"
    s3, events, sqs = (client(name, moto_url) for name in ("s3", "events", "sqs"))
    s3.create_bucket(
        Bucket="images", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    with contextlib.ExitStack() as stack:

        def make(limits=None):
            app = create_app(
                data_dir=tmp_path_factory.mktemp("devcloud"),
                account_id=ACCOUNT,
                region=REGION,
                clients=SimpleNamespace(s3=s3, events=events),
                limits=limits or JobLimits(submitted_seconds=0.05),
            )
            url = stack.enter_context(serve(app))
            return Cloud(url, s3, events, sqs, client("medical-imaging", url))

        yield make
    moto.stop()


@pytest.fixture(scope="session")
def hi(cloud_of):
    """One HealthImaging for the session: tests use data stores of their own."""
    return cloud_of()


class EventLog:
    """Every HealthImaging event, as a rule and a queue deliver them."""

    def __init__(self, hi):
        self._hi, self._events = hi, []
        self._url = hi.sqs.create_queue(QueueName="healthimaging")["QueueUrl"]
        arn = hi.sqs.get_queue_attributes(
            QueueUrl=self._url, AttributeNames=["QueueArn"]
        )
        pattern = json.dumps({"source": ["aws.medical-imaging"]})
        hi.events.put_rule(Name="healthimaging", EventPattern=pattern)
        target = {"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}
        hi.events.put_targets(Rule="healthimaging", Targets=[target])

    def of(self, datastore_id):
        """The events of a data store so far."""
        while messages := self._hi.sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10
        ).get("Messages"):
            for message in messages:
                self._events.append(json.loads(message["Body"]))
                self._hi.sqs.delete_message(
                    QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"]
                )
        return [
            event
            for event in self._events
            if event["detail"]["datastoreId"] == datastore_id
        ]

    def wait(self, datastore_id, count):
        """The events of a data store once there are ``count`` of them."""
        return self._hi.wait(
            lambda: found if len(found := self.of(datastore_id)) >= count else None
        )


@pytest.fixture(scope="session")
def event_log(hi):
    return EventLog(hi)
