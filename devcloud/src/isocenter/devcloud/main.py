"""`isocenter-devcloud`: the three servers, or one side of a step's pod.

`isocenter-devcloud [serve]`, settings by environment (settings.py);
`isocenter-devcloud inputs PLAN` and `outputs PLAN` run in a step's pod, with AWS's
own variables leading them to this cloud.
"""

import argparse
import json
import sys

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from isocenter.devcloud.sagemaker import transfer


def main(arguments: list[str] | None = None) -> int:
    """The console script; the exit code."""
    parser = argparse.ArgumentParser(prog="isocenter-devcloud", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="start the local AWS (the default)")
    for name in ("inputs", "outputs"):
        command = commands.add_parser(name, help=f"move the {name} of a step")
        command.add_argument("plan", type=json.loads, help="JSON, see transfer.py")
    options = parser.parse_args(arguments)
    if options.command in {"inputs", "outputs"}:
        return _move(options.command, options.plan)
    # The servers take seconds to import; a step's pod has no use for them.
    from isocenter.devcloud.serve import serve  # noqa: PLC0415 - see above

    return serve()


def _move(direction: str, plan: dict[str, object]) -> int:
    """The last line on standard error becomes the step's FailureReason."""
    move = transfer.download if direction == "inputs" else transfer.upload
    try:
        count = move(plan, boto3.client("s3"))
    except (
        transfer.TransferError,
        BotoCoreError,
        Boto3Error,
        ClientError,
        OSError,
    ) as error:
        print(error, file=sys.stderr)  # noqa: T201 - read by Kubernetes as the termination message
        return 1
    print(f"{direction}: {count} objects")  # noqa: T201 - the pod's log
    return 0


if __name__ == "__main__":
    sys.exit(main())
