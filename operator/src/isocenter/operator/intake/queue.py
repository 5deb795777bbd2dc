"""The edge to SQS. A message is deleted only when its work is done elsewhere."""

from dataclasses import dataclass
from typing import Any

from isocenter.core import aws

_BATCH = 10
_MAX_VISIBILITY_S = 43_200


@dataclass(frozen=True)
class Message:
    """One received message; ``receives`` counts this time too."""

    message_id: str
    receipt: str
    body: str
    receives: int


class Queue:
    """One SQS queue. Thread-safe."""

    def __init__(
        self, client: Any, url: str, *, visibility_s: int, wait_s: int
    ) -> None:
        self._client = client
        self._url = url
        self._visibility_s = visibility_s
        self._wait_s = wait_s

    @classmethod
    def connect(
        cls, url: str, *, visibility_s: int, wait_s: int, pool: int = 10
    ) -> "Queue":
        """A client from AWS's own variables."""
        client = aws.client("sqs", pool=pool)
        return cls(client, url, visibility_s=visibility_s, wait_s=wait_s)

    def receive(self) -> list[Message]:
        """ReceiveMessage, waiting as set; at most 10 messages, maybe none."""
        with aws.calling(f"receive from {self._url}"):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_BATCH,
                WaitTimeSeconds=self._wait_s,
                VisibilityTimeout=self._visibility_s,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        return [
            Message(
                message_id=message["MessageId"],
                receipt=message["ReceiptHandle"],
                body=message["Body"],
                receives=int(
                    message.get("Attributes", {}).get("ApproximateReceiveCount", 1)
                ),
            )
            for message in answer.get("Messages", ())
        ]

    def delete(self, message: Message) -> None:
        """DeleteMessage: the work is durable elsewhere."""
        with aws.calling(f"delete message {message.message_id}"):
            self._client.delete_message(
                QueueUrl=self._url, ReceiptHandle=message.receipt
            )

    def postpone(self, message: Message, seconds: int) -> None:
        """ChangeMessageVisibility: the message comes back after ``seconds``."""
        with aws.calling(f"put message {message.message_id} back"):
            self._client.change_message_visibility(
                QueueUrl=self._url,
                ReceiptHandle=message.receipt,
                VisibilityTimeout=min(seconds, _MAX_VISIBILITY_S),
            )
