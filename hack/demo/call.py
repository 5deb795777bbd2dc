"""One call of the local AWS, as the AWS CLI would make it, for looking around.

    python -m demo.call s3 ListObjectsV2 Bucket=isocenter-data MaxKeys:=3

``Name=value`` passes a text, ``Name:=value`` JSON. The answer is printed as JSON; an
answer that is a stream, such as an object's body, is printed as it is.
"""

import json
import sys
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from demo.local_aws import client
from demo.shell import DemoError


def parameters(words: list[str]) -> dict[str, Any]:
    """The call's parameters.

    Raises:
        DemoError: a word is neither ``Name=value`` nor ``Name:=JSON``.
    """
    read: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise DemoError(f"{word!r} is neither Name=value nor Name:=JSON")
        try:
            read[name.removesuffix(":")] = (
                json.loads(value) if name.endswith(":") else value
            )
        except ValueError as error:
            raise DemoError(f"{word!r}: what follows := is not JSON") from error
    return read


def call(service: str, operation: str, words: list[str]) -> bytes:
    """Make the call; answers what to print.

    Raises:
        DemoError: no such operation, or the local AWS refused it; its words.
    """
    with client(service) as aws:
        action = getattr(aws, xform_name(operation), None)
        if action is None:
            raise DemoError(f"{service} has no operation {operation}")
        try:
            answer = action(**parameters(words))
        except (ClientError, BotoCoreError) as error:
            raise DemoError(str(error)) from error
        answer.pop("ResponseMetadata", None)
        for value in answer.values():
            if isinstance(value, StreamingBody):
                return bytes(value.read())
    return (json.dumps(answer, indent=2, default=str) + "\n").encode()


def main() -> int:
    """Exit code 0, or 1 with the reason on stderr."""
    service_operation = 2
    if len(sys.argv) <= service_operation:
        sys.stderr.write(f"usage:\n{__doc__}")
        return 1
    try:
        sys.stdout.buffer.write(call(sys.argv[1], sys.argv[2], sys.argv[3:]))
    except DemoError as error:
        sys.stderr.write(f"demo.call: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
