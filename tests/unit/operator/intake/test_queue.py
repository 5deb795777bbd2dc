import botocore.loaders
import botocore.model
import botocore.session
import pytest
from botocore.stub import Stubber

from isocenter.core.errors import UnavailableError
from isocenter.operator.intake.queue import Message, Queue

URL = "https://sqs.eu-west-1.amazonaws.com/111122223333/q"
MESSAGE = Message("m", "r", "{}", 2)


@pytest.fixture
def client():
    session = botocore.session.Session()
    session.set_credentials("x", "x")
    return session.create_client("sqs", region_name="eu-west-1")


@pytest.fixture
def stub(client):
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def queue(client):
    return Queue(client, URL, visibility_s=60, wait_s=10)


def test_receive(queue, stub):
    stub.add_response(
        "receive_message",
        {
            "Messages": [
                {
                    "MessageId": "m",
                    "ReceiptHandle": "r",
                    "Body": "{}",
                    "Attributes": {"ApproximateReceiveCount": "2"},
                }
            ]
        },
        {
            "QueueUrl": URL,
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": 10,
            "VisibilityTimeout": 60,
            "MessageSystemAttributeNames": ["ApproximateReceiveCount"],
        },
    )
    stub.add_response("receive_message", {})
    assert queue.receive() == [MESSAGE]
    assert queue.receive() == []


def test_delete_and_postpone(queue, stub):
    stub.add_response("delete_message", {}, {"QueueUrl": URL, "ReceiptHandle": "r"})
    stub.add_response(
        "change_message_visibility",
        {},
        {"QueueUrl": URL, "ReceiptHandle": "r", "VisibilityTimeout": 43_200},
    )
    queue.delete(MESSAGE)
    queue.postpone(MESSAGE, 100_000)


def test_errors_are_translated(queue, stub):
    stub.add_client_error("receive_message", "InternalError", http_status_code=500)
    with pytest.raises(UnavailableError, match=URL):
        queue.receive()
