"""Intake with the real queue, HealthImaging and S3; only the API server is a fake."""

import copy
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from kubernetes.client.exceptions import ApiException

from isocenter.core.batch import BatchManifest, StoredInstance
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.operator.cluster import Cluster
from isocenter.operator.intake.consumer import Consumer
from isocenter.operator.intake.queue import Queue
from isocenter.operator.intake.reactions import Reactions
from isocenter.operator.intake.settings import IntakeSettings
from isocenter.operator.intake.sweep import Sweep
from isocenter.operator.intake.tally import Tally
from isocenter.operator.objects import ObjectStore
from isocenter.operator.resources import TrainingRun

NAMESPACE = "contract"


class FakeApi:
    """The API server for what intake calls: kubernetes' CustomObjectsApi."""

    def __init__(self):
        self.objects = {}

    def create_namespaced_custom_object(self, *, plural, body, **_):
        key = plural, body["metadata"]["name"]
        if key in self.objects:
            raise ApiException(status=409, reason="Conflict")
        stored = copy.deepcopy(dict(body))
        stored["metadata"] |= {
            "uid": f"uid-{len(self.objects)}",
            "namespace": NAMESPACE,
            "resourceVersion": "1",
        }
        self.objects[key] = stored
        return copy.deepcopy(stored)

    def list_namespaced_custom_object(self, *, plural, **_):
        found = [o for (kind, _), o in self.objects.items() if kind == plural]
        return {"items": copy.deepcopy(found), "metadata": {}}

    def get_namespaced_custom_object(self, *, plural, name, **_):
        if (plural, name) not in self.objects:
            raise ApiException(status=404, reason="Not Found")
        return copy.deepcopy(self.objects[plural, name])

    def patch_namespaced_custom_object(self, *, plural, name, body, **_):
        if (plural, name) not in self.objects:
            raise ApiException(status=404, reason="Not Found")
        metadata = self.objects[plural, name]["metadata"]
        metadata.setdefault("annotations", {}).update(body["metadata"]["annotations"])
        return copy.deepcopy(self.objects[plural, name])

    def patch_namespaced_custom_object_status(self, *, plural, name, body, **_):
        self.objects[plural, name].setdefault("status", {}).update(body["status"])
        return copy.deepcopy(self.objects[plural, name])


def soon():
    """A second ahead: a sweep must see what was imported within this second."""
    return datetime.now(UTC) + timedelta(seconds=1)


class Intake:
    """Intake's parts around one fake API server."""

    def __init__(self, queue, settings, datastore):
        self.api = FakeApi()
        self.queue = queue
        cluster = Cluster(self.api, NAMESPACE)
        healthimaging, objects = HealthImaging.connect(), ObjectStore.connect()
        tally = Tally(cluster)
        reactions = Reactions(cluster, healthimaging, objects, tally, settings)
        self._consumer = Consumer(
            queue, reactions, tally, batches_prefix="batches/", max_backoff_s=1
        )
        self._sweep = Sweep(
            cluster, healthimaging, objects, reactions, settings, clock=soon
        )
        cluster.create(
            "trainingtriggers",
            {
                "metadata": {"name": "all"},
                "spec": {
                    "datastoreId": datastore,
                    "template": {"pipeline": {"name": "train"}},
                },
            },
        )

    def receive(self):
        self._consumer.once()

    def sweep(self):
        return self._sweep.once(threading.Event())

    def named(self, plural):
        return [body for (kind, _), body in self.api.objects.items() if kind == plural]

    def runs_of(self, image_set):
        return [
            body
            for body in self.named("trainingruns")
            if body["spec"]["imageSets"][0]["id"] == image_set
        ]

    def counts(self):
        return self.named("trainingtriggers")[0].get("status", {})


@pytest.fixture
def name(request):
    return request.node.name.replace("[", "-").rstrip("]").removeprefix("test_")[:60]


@pytest.fixture
def urls(make_queue, name):
    """A queue of this test's own and its dead-letter queue."""
    with make_queue(name) as made:
        yield made


@pytest.fixture
def datastore(make_datastore, name):
    return make_datastore(name)


@pytest.fixture
def intake(urls, bucket, datastore):
    url, _ = urls
    settings = IntakeSettings(
        queue_url=url, namespace=NAMESPACE, bucket=bucket, receive_wait_s=1
    )
    queue = Queue.connect(url, visibility_s=30, wait_s=1)
    return Intake(queue, settings, datastore)


@pytest.fixture
def until_run(intake, wait_for):
    """Receives until an image set has its run; answers the run."""

    def receive(image_set):
        def made():
            intake.receive()
            return intake.runs_of(image_set) or None

        (run,) = wait_for(made)
        return run

    return receive


@pytest.fixture
def left(sqs):
    """How many messages a queue holds, received ones too."""

    def count(url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    return count


@pytest.fixture
def drain(intake, urls, left, wait_for):
    """Receives until the queue is empty."""

    def receive():
        def empty():
            intake.receive()
            return True if left(urls[0]) == 0 else None

        wait_for(empty)

    return receive


@pytest.fixture(params=["imagesetId", "imageSetId"])
def spelling(request, control):
    """How events spell the image set's id: the guide's way, the registry's way."""
    control("POST", "healthimaging", "event-key", key=request.param)
    yield request.param
    control("POST", "healthimaging", "event-key", key="imagesetId")


def test_each_image_set_gets_exactly_one_run(
    spelling, intake, datastore, import_files, make_slice, until_run, drain
):
    bodies = [make_slice(), make_slice()]
    image_sets = import_files(datastore, f"DICOM/{spelling}/", bodies)
    assert len(image_sets) == 2
    for image_set in image_sets:
        run = until_run(image_set)
        assert run["metadata"]["name"] == f"all-{image_set}-v1"
        assert run["spec"]["imageSets"] == [{"id": image_set, "versionId": "1"}]
        assert run["spec"]["datastoreId"] == datastore
        TrainingRun.model_validate(run)
    drain()
    assert len(intake.named("trainingruns")) == 2
    assert intake.sweep()
    assert len(intake.named("trainingruns")) == 2
    assert intake.counts()["eventsSeen"] == 2
    assert intake.counts()["runsCreated"] == 2


def test_a_new_version_gets_a_run_of_its_own(
    intake, datastore, import_files, make_slice, until_run, wait_for
):
    first = make_slice()
    (image_set,) = import_files(datastore, "DICOM/version/1/", [first])
    until_run(image_set)
    assert import_files(datastore, "DICOM/version/2/", [make_slice(like=first)]) == [
        image_set
    ]

    def both():
        intake.receive()
        runs = intake.runs_of(image_set)
        return runs if len(runs) == 2 else None

    versions = [r["spec"]["imageSets"][0]["versionId"] for r in wait_for(both)]
    assert versions == ["1", "2"]


def test_redelivered_event_makes_no_second_run(
    intake, datastore, import_files, make_slice, until_run, wait_for, sqs, urls
):
    class Twice:
        """The queue, whose first delivery of each message is not acknowledged."""

        def __init__(self, queue):
            self._queue = queue
            self.again = 0

        def receive(self):
            return self._queue.receive()

        def delete(self, message):
            if message.receives == 1:
                self._queue.postpone(message, 0)
            else:
                self.again += 1
                self._queue.delete(message)

        def postpone(self, message, seconds):
            self._queue.postpone(message, seconds)

    source = Twice(intake.queue)
    intake._consumer._source = source
    (image_set,) = import_files(datastore, "DICOM/again/", [make_slice()])
    until_run(image_set)

    def handled_twice():
        intake.receive()
        return True if intake.counts().get("eventsSeen") == 2 else None

    wait_for(handled_twice)
    assert source.again >= 1
    assert len(intake.runs_of(image_set)) == 1
    assert intake.counts()["skipped"] == {"RunExists": 1}


def test_lost_event_is_made_good_by_the_sweep(
    intake, datastore, import_files, make_slice, sqs, urls, left, wait_for
):
    (image_set,) = import_files(datastore, "DICOM/lost/", [make_slice()])
    wait_for(lambda: left(urls[0]) or None)
    sqs.purge_queue(QueueUrl=urls[0])
    assert intake.runs_of(image_set) == []
    assert intake.sweep()
    (run,) = intake.runs_of(image_set)
    assert run["metadata"]["annotations"] == {"isocenter.dev/event": "sweep"}
    assert intake.sweep()
    assert len(intake.runs_of(image_set)) == 1


def test_run_that_was_deleted_after_its_start_is_not_made_again(
    intake, datastore, import_files, make_slice, until_run, s3, bucket
):
    (image_set,) = import_files(datastore, "DICOM/deleted/", [make_slice()])
    name = until_run(image_set)["metadata"]["name"]
    key = f"runs/{NAMESPACE}/{name}/attempt-1/request.json"
    s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
    del intake.api.objects["trainingruns", name]
    assert intake.sweep()
    assert intake.runs_of(image_set) == []


def manifest_of(batch, datastore):
    instance = StoredInstance(
        key=f"DICOM/{batch}/1.2.3.dcm",
        sop_instance_uid="1.2.3",
        sop_class_uid="1.2",
        study_instance_uid="1.2",
        series_instance_uid="1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        bytes=1,
        sha256="0" * 64,
        calling_ae="CT",
        received_at=datetime.now(UTC),
    )
    return BatchManifest(
        batch=batch,
        datastore=datastore,
        sealed_at=datetime.now(UTC),
        instances=(instance,),
    ).to_json()


def test_sealed_batch_becomes_an_import(intake, datastore, s3, bucket, wait_for, drain):
    key = "batches/b1-intake.json"
    body = manifest_of("b1-intake", datastore)
    s3.put_object(Bucket=bucket, Key=key, Body=body)

    def made():
        intake.receive()
        return intake.named("dicomimportjobs") or None

    (job,) = wait_for(made)
    assert job["metadata"]["name"] == "b1-intake"
    assert job["spec"] == {
        "datastoreId": datastore,
        "inputS3Uri": f"s3://{bucket}/DICOM/b1-intake/",
        "outputS3Uri": f"s3://{bucket}/import-output/b1-intake/",
        "manifestKey": key,
    }
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    drain()
    assert len(intake.named("dicomimportjobs")) == 1


def test_sealed_batch_is_found_by_the_sweep(intake, datastore, s3, bucket, sqs, urls):
    s3.put_object(
        Bucket=bucket,
        Key="batches/b2-intake.json",
        Body=manifest_of("b2-intake", datastore),
    )
    sqs.purge_queue(QueueUrl=urls[0])
    intake.sweep()
    names = {body["metadata"]["name"] for body in intake.named("dicomimportjobs")}
    assert "b2-intake" in names


@pytest.fixture
def broken_manifest(intake, s3, bucket):
    key = "batches/b3-broken.json"
    s3.put_object(Bucket=bucket, Key=key, Body=b'{"schema": 1}')
    yield key
    s3.delete_object(Bucket=bucket, Key=key)


def test_malformed_manifest_ends_in_the_dead_letter_queue(
    broken_manifest, intake, datastore, s3, bucket, wait_for, sqs, urls, left
):
    url, dead = urls
    # It comes back after a second, not after the time that a slow batch may take.
    intake._consumer._source = Queue.connect(url, visibility_s=1, wait_s=1)
    s3.put_object(
        Bucket=bucket,
        Key="batches/b4-intake.json",
        Body=manifest_of("b4-intake", datastore),
    )

    def given_up():
        intake.receive()
        return left(dead) or None

    assert wait_for(given_up) == 1
    (message,) = sqs.receive_message(QueueUrl=dead)["Messages"]
    event = json.loads(message["Body"])
    assert event["detail"]["object"]["key"] == broken_manifest
    names = [body["metadata"]["name"] for body in intake.named("dicomimportjobs")]
    assert names == ["b4-intake"]
    assert left(url) == 0, "the rest was handled"
