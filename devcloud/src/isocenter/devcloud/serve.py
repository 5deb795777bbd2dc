"""The serving process: settings read, servers started, ended by SIGTERM."""

import signal
import sys
import threading

from pydantic import ValidationError

from isocenter.devcloud import log
from isocenter.devcloud.cloud import DevCloud, StartError
from isocenter.devcloud.healthimaging.app import create_app as healthimaging_app
from isocenter.devcloud.sagemaker.runner import RunnerError
from isocenter.devcloud.seed import SeedError
from isocenter.devcloud.settings import Settings


def serve() -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    try:
        settings = Settings()
    except ValidationError as error:
        return _refused(error, 2)
    log.configure(settings.log_level)
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    try:
        with DevCloud(settings, healthimaging_app):
            end.wait()
    except (OSError, RunnerError, SeedError, StartError) as error:
        return _refused(error, 1)
    return 0


def _refused(error: Exception, code: int) -> int:
    print(f"devcloud can't start: {error}", file=sys.stderr)  # noqa: T201 - said to whoever started it, whatever the log level
    return code
