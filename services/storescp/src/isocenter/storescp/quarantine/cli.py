"""``isocenter-storescp quarantine``: see, release or drop what could not be stored.

It works on S3, with the settings of the Store SCP's process; what is still on a
worker's volume gets there by itself.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isocenter.core import aws
from isocenter.core.errors import ConfigurationError, IsocenterError
from isocenter.core.settings import load
from isocenter.storescp.quarantine.entry import MEANING, Reason
from isocenter.storescp.quarantine.objects import QuarantineObjects
from isocenter.storescp.reception import destination
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.upload.uploader import Uploader

_FAILED, _CONFIGURATION = 1, 2
_POOL = 4


def say(text: str) -> None:
    """A line for the person or program that asked."""
    sys.stdout.write(text + "\n")


def parser() -> argparse.ArgumentParser:
    """The verbs and what they take."""
    reasons = "; ".join(f"{reason}: {text}" for reason, text in MEANING.items())
    top = argparse.ArgumentParser(
        prog="isocenter-storescp quarantine",
        description="Instances that came but can't be stored, in S3.",
        epilog=f"Reasons. {reasons}",
    )
    verbs = top.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list", help="say what is there, one line each")
    listing.add_argument("--reason", choices=[str(reason) for reason in Reason])
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    release = verbs.add_parser(
        "release",
        help="store entries after all: one new batch, with the UIDs of their data sets",
    )
    release.add_argument("name", nargs="+", help="<reason>/<sha256>, as listed")
    drop = verbs.add_parser("drop", help="delete entries")
    drop.add_argument("name", nargs="+", help="<reason>/<sha256>, as listed")
    drop.add_argument(
        "--only-copy",
        action="store_true",
        help="also those whose senders were told success",
    )
    return top


def carry_out(args: argparse.Namespace, objects: QuarantineObjects) -> int:
    """Do what was asked; 1 if some of it could not be done."""
    if args.verb == "list":
        return _list(args, objects)
    if args.verb == "release":
        released = objects.release(args.name)
        say(f"released: {released.instances} instances as batch {released.batch}")
        return 0
    failed = 0
    for name in args.name:
        try:
            objects.drop(name, only_copy=args.only_copy)
        except IsocenterError as error:
            failed = _FAILED
            say(f"not dropped: {error}")
        else:
            say(f"dropped: {name}")
    return failed


def _list(args: argparse.Namespace, objects: QuarantineObjects) -> int:
    failed = 0
    for name in objects.names(args.reason):
        try:
            entry = objects.entry(name)
        except IsocenterError as error:
            failed = _FAILED
            say(f"{name}: {error}")
            continue
        if args.json:
            said: dict[str, Any] = entry.model_dump(mode="json", by_alias=True)
            say(json.dumps({"name": name, **said}))
        else:
            when = f"{entry.quarantined_at:%Y-%m-%dT%H:%M:%SZ}"
            sender = f"{entry.calling_ae or '-'}@{entry.peer or '-'}"
            say(f"{name}  {entry.size} bytes  {when}  {sender}")
    return failed


def main(argv: Sequence[str]) -> int:
    """Run a verb; 2 if a setting is wrong.

    Args:
        argv: without ``quarantine``.
    """
    args = parser().parse_args(argv)
    try:
        settings = load(StoreScpSettings)
        s3 = aws.client("s3", pool=_POOL)
        uploader = Uploader(s3, multipart_bytes=settings.multipart_bytes)
        # A container's own file system may be read-only; the spool's is writable.
        place = settings.spool_dir if settings.spool_dir.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="release-", dir=place) as folder:
            objects = QuarantineObjects(
                uploader,
                destination(settings),
                prefix=settings.quarantine_prefix,
                folder=Path(folder),
            )
            return carry_out(args, objects)
    except ConfigurationError as error:
        say(str(error))
        return _CONFIGURATION
    except (IsocenterError, OSError) as error:
        say(f"not done: {error}")
        return _FAILED
