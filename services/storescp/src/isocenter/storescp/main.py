"""``isocenter-storescp``: the Store SCP, and what its owner asks of it.

Without arguments it serves until SIGTERM: alone, or (``STORESCP_WORKERS``) as the
parent of several processes that share the ports.
"""

import argparse
import logging
import sys
from collections.abc import Sequence

from isocenter.core import log as logs
from isocenter.core.errors import ConfigurationError
from isocenter.core.exit_codes import ServiceExit
from isocenter.core.settings import load
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.workers.place import Place

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Console script ``isocenter-storescp``; 2 if a setting is wrong."""
    logs.configure("storescp")
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["quarantine"]:  # its arguments, --help too, are its own to read
        from isocenter.storescp.quarantine.cli import main as quarantine  # noqa: PLC0415 - what serves needs none of it

        return quarantine(argv[1:])
    arguments = _parser().parse_args(argv)
    place = Place.parse(arguments.place) if arguments.verb == "worker" else None
    try:
        settings = load(StoreScpSettings)
        logs.configure("storescp", settings.log_level)
        return _serve(settings, place)
    except ConfigurationError as error:
        log.error("can't start", extra={"error": str(error)})  # noqa: TRY400 - the text says it all
        return ServiceExit.CONFIGURATION


def _serve(settings: StoreScpSettings, place: Place | None) -> ServiceExit:
    """Serve until SIGTERM, in whichever part."""
    if settings.workers > 1 and place is None:
        # The parent receives nothing: it has no need of DICOM or AWS, nor of metrics.
        from isocenter.storescp.workers.together import serve_together  # noqa: PLC0415

        return serve_together(settings)
    from isocenter.storescp.serving import serve_alone, serve_as_worker  # noqa: PLC0415

    return serve_alone(settings) if place is None else serve_as_worker(settings, place)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="isocenter-storescp",
        description="DICOM Store SCP; serves, with the settings of the environment.",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="")
    verbs.add_parser(
        "quarantine", help="list, release or drop what could not be stored"
    )
    # Of the parent process only, so not in the help.
    verbs.add_parser("worker").add_argument("place")
    return parser


if __name__ == "__main__":
    sys.exit(main())
