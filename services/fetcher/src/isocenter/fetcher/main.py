"""``isocenter-fetcher``: ``fetch`` for a pipeline's step, ``serve`` for a cluster."""

import argparse
import logging
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import uvicorn
from pydantic import ValidationError

from isocenter.core import log as logs
from isocenter.core.errors import ConfigurationError, IsocenterError
from isocenter.core.health import HealthServer
from isocenter.core.run_request import ImageSetRef, RunRequest, parse_request
from isocenter.core.settings import load
from isocenter.fetcher.dataset import FetchOptions, fetch_dataset, open_downloader
from isocenter.fetcher.errors import UsageError
from isocenter.fetcher.exit_codes import ExitCode, exit_code
from isocenter.fetcher.jobs import Jobs, JobStore
from isocenter.fetcher.objects import Objects
from isocenter.fetcher.routes import create_app
from isocenter.fetcher.settings import DEFAULT_SPLIT_SALT, FetcherSettings

log = logging.getLogger(__name__)

MESSAGE_FILE = Path("/opt/ml/output/message")
"""SageMaker shows the start of this file as the step's failure reason."""
_MESSAGE_LENGTH = 1024
_ABSENT = "none"
"""What the default pipeline passes for nothing: SageMaker refuses an empty argument."""
_OPTIONS = {
    "datastore_id": "--datastore-id",
    "datastoreId": "--datastore-id",
    "id": "--image-set-id",
    "version_id": "--version-id",
    "versionId": "--version-id",
}
"""Which option a member of the request comes from."""
_OVERRIDES = ("workers", "decode_processes", "memory_mib", "log_level")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; answers the exit code of ``exit_codes``."""
    message_file: Path | None = None
    logs.configure("fetcher")
    try:
        arguments = _parser().parse_args(argv)
        message_file = getattr(arguments, "message_file", None)
        settings = _settings(arguments)
        logs.configure("fetcher", settings.log_level)
        if settings.split_salt.get_secret_value() == DEFAULT_SPLIT_SALT:
            log.warning("FETCHER_SPLIT_SALT is not set: patient keys can be recomputed")
        if arguments.command == "serve":
            _serve(settings)
        else:
            _fetch(arguments, settings)
    except (IsocenterError, OSError) as error:
        return _report(exit_code(error), str(error), message_file)
    except Exception as error:  # noqa: BLE001 - whatever it is, the step's reader is told
        # Only the places: the text of an unforeseen error may quote metadata.
        places = "".join(traceback.format_tb(error.__traceback__))
        log.critical("unexpected %s\n%s", type(error).__name__, places)
        message = f"unexpected {type(error).__name__}; the log has the traceback"
        return _report(ExitCode.UNEXPECTED, message, message_file)
    return ExitCode.COMPLETE


def read_arguments(
    *, datastore_id: str, image_set_id: str, version_id: str, request: RunRequest | None
) -> RunRequest:
    """The request that the arguments make; "" is absent.

    A request.json wins: the single-image-set arguments may only repeat what it says.

    Raises:
        UsageError: nothing is asked for, or the arguments contradict the request.
    """
    if request is not None:
        if datastore_id and datastore_id != request.datastore_id:
            raise UsageError(
                f"--datastore-id is {datastore_id}, "
                f"but the request is for {request.datastore_id}"
            )
        if image_set_id and image_set_id not in {ref.id for ref in request.image_sets}:
            raise UsageError(
                f"--image-set-id {image_set_id} is not in the request; leave it out"
            )
        return request
    if not datastore_id or not image_set_id:
        raise UsageError("pass --datastore-id and --image-set-id, or --request-s3-uri")
    try:
        return RunRequest(
            datastore_id=datastore_id,
            image_sets=(ImageSetRef(id=image_set_id, version_id=version_id or None),),
        )
    except ValidationError as error:
        problems = "; ".join(
            f"{_OPTIONS[str(item['loc'][-1])]}: {item['msg']}"
            for item in error.errors(include_input=False)
        )
        raise UsageError(problems) from error


def _fetch(arguments: argparse.Namespace, settings: FetcherSettings) -> None:
    uri = arguments.request_s3_uri
    request = read_arguments(
        datastore_id=arguments.datastore_id,
        image_set_id=arguments.image_set_id,
        version_id=arguments.version_id,
        request=parse_request(Objects.connect().read(uri), source=uri) if uri else None,
    )
    with open_downloader(settings) as downloader:
        for number in (signal.SIGTERM, signal.SIGINT):
            # Running frames end, nothing more is taken, no manifest is written.
            signal.signal(number, lambda *_: downloader.stop())
        manifest = fetch_dataset(
            request,
            arguments.output_dir,
            downloader=downloader,
            options=FetchOptions.of(settings),
            allow_omissions=arguments.allow_omissions,
        )
    log.info(
        "dataset is complete: %d image sets, %d arrays, %d omissions, digest %s",
        len(manifest.image_sets),
        sum(len(entry.arrays) for entry in manifest.image_sets),
        len(manifest.omissions),
        manifest.digest,
    )


def _serve(settings: FetcherSettings) -> None:
    if not settings.bucket:
        raise ConfigurationError("FETCHER_BUCKET is needed: it holds the job records")
    objects = Objects.connect()
    with open_downloader(settings) as downloader:
        jobs = Jobs(
            objects,
            JobStore(objects, f"s3://{settings.bucket}/{settings.jobs_prefix}"),
            downloader=downloader,
            options=FetchOptions.of(settings),
            work_dir=settings.work_dir,
            concurrent=settings.concurrent_jobs,
            max_queued=settings.max_queued_jobs,
        )
        health = HealthServer(
            settings.health_port,
            alive=lambda: jobs.dead,
            ready=lambda: jobs.not_ready,
        )
        # uvicorn ends by itself at SIGTERM, closes the jobs (lifespan) and raises the
        # signal again: that is the end, not a death.
        signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            uvicorn.run(
                create_app(jobs),
                host="0.0.0.0",  # noqa: S104 - a pod's own address; policies are the cluster's
                port=settings.http_port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=5,
            )
        finally:
            health.close()


def _settings(arguments: argparse.Namespace) -> FetcherSettings:
    """Settings of the environment, and what the command line says instead."""
    settings = load(FetcherSettings)
    said = {name: getattr(arguments, name, None) for name in _OVERRIDES}
    changes = {name: value for name, value in said.items() if value is not None}
    try:
        return FetcherSettings.model_validate({**dict(settings), **changes})
    except ValidationError as error:
        problems = "; ".join(
            f"--{str(item['loc'][0]).replace('_', '-')}: {item['msg']}"
            for item in error.errors(include_input=False)
        )
        raise UsageError(problems) from error


def _report(code: ExitCode, message: str, path: Path | None) -> int:
    log.error("%s", message, extra={"reason": code.name})
    if path is None and MESSAGE_FILE.parent.is_dir():
        path = MESSAGE_FILE
    if path is not None:
        try:
            path.write_text(message[:_MESSAGE_LENGTH], encoding="utf-8")
        except OSError as error:
            log.warning("the message can't be written", extra={"error": str(error)})
    return code


def _given(text: str) -> str:
    return "" if text == _ABSENT else text


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that the reason reaches the message file."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="isocenter-fetcher",
        description="Image sets to a verified, decoded dataset.",
        epilog="Settings are FETCHER_* environment variables; options win over them.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", help="fetch one dataset into a directory")
    for name, what in (
        ("datastore-id", "data store"),
        ("image-set-id", "one image set"),
        ("version-id", "its version; the latest if absent"),
        ("request-s3-uri", "request.json with many image sets; wins"),
    ):
        fetch.add_argument(
            f"--{name}",
            type=_given,
            default="",
            help=f"{what}; empty or {_ABSENT} is absent",
        )
    fetch.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    fetch.add_argument(
        "--allow-omissions",
        action="store_true",
        help="write the manifest although something asked for is missing",
    )
    fetch.add_argument(
        "--message-file",
        type=Path,
        metavar="FILE",
        help=f"where a failure's reason goes; {MESSAGE_FILE} if its directory exists",
    )
    for command in (fetch, commands.add_parser("serve", help="serve HTTP")):
        command.add_argument("--workers", type=int, help="frames in flight")
        command.add_argument("--decode-processes", type=int, help="0: one for each CPU")
        command.add_argument("--memory-mib", type=int, help="frames held in memory")
        command.add_argument("--log-level", help="DEBUG, INFO, WARNING or ERROR")
    return parser


if __name__ == "__main__":
    sys.exit(main())
