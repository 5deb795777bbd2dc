import json

import pytest

from isocenter.operator.intake.queue import Message
from isocenter.operator.intake.reactions import Reactions
from isocenter.operator.intake.settings import IntakeSettings
from isocenter.operator.intake.tally import Tally

DATASTORE = "d" * 32
BATCH = "20261123t100000-pod-0"


class FakeQueue:
    """SQS: a received message stays until it is deleted."""

    def __init__(self):
        self.messages = {}
        self.receives = {}
        self.postponed = []

    def send(self, body):
        name = f"m{len(self.receives)}"
        self.messages[name] = body if isinstance(body, str) else json.dumps(body)
        self.receives[name] = 0

    def receive(self):
        received = []
        for name, body in self.messages.items():
            self.receives[name] += 1
            received.append(Message(name, f"r-{name}", body, self.receives[name]))
        return received

    def delete(self, message):
        del self.messages[message.message_id]

    def postpone(self, message, seconds):
        self.postponed.append((message.message_id, seconds))


@pytest.fixture
def queue():
    return FakeQueue()


@pytest.fixture
def settings():
    return IntakeSettings(
        queue_url="https://sqs.eu-west-1.amazonaws.com/111122223333/q",
        namespace="imaging",
        bucket="a-bucket",
    )


@pytest.fixture
def tally(cluster):
    return Tally(cluster)


@pytest.fixture
def reactions(cluster, healthimaging, objects, tally, settings):
    return Reactions(cluster, healthimaging, objects, tally, settings)


@pytest.fixture
def add_trigger(cluster, trigger_body):
    def add(name="t", **spec):
        cluster.create("trainingtriggers", trigger_body(name, **spec))

    return add


@pytest.fixture
def stored(api):
    """Names (or one object) of a kind in the API server."""

    def read(plural, name=None):
        if name:
            return api.objects[plural, name]
        return sorted(n for kind, n in api.objects if kind == plural)

    return read


@pytest.fixture
def image_set_event():
    def build(image_set_id, kind="Image Set Created", **detail):
        return {
            "id": "event-1",
            "source": "aws.medical-imaging",
            "detail-type": kind,
            "detail": {"datastoreId": DATASTORE, "imageSetId": image_set_id} | detail,
        }

    return build


@pytest.fixture
def batch_event():
    return {
        "id": "event-2",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {
            "bucket": {"name": "a-bucket"},
            "object": {"key": f"batches/{BATCH}.json"},
        },
    }


@pytest.fixture
def manifest():
    instance = {
        "key": f"DICOM/{BATCH}/1.dcm",
        "sopInstanceUid": "1.2",
        "sopClassUid": "1.2",
        "studyInstanceUid": "1.2",
        "seriesInstanceUid": "1.2",
        "transferSyntaxUid": "1.2",
        "bytes": 1,
        "sha256": "0" * 64,
        "callingAE": "CT",
        "receivedAt": "2026-11-23T10:00:00Z",
    }
    return json.dumps(
        {
            "schema": 1,
            "batch": BATCH,
            "datastore": DATASTORE,
            "sealedAt": "2026-11-23T10:00:00Z",
            "instances": [instance],
        }
    ).encode()
