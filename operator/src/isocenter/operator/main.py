"""``isocenter-operator``: serves the custom resources of one namespace."""

import logging
import sys

import kopf

from isocenter.core.errors import ConfigurationError
from isocenter.core.exit_codes import ServiceExit
from isocenter.core.log import configure as configure_logs
from isocenter.core.settings import load
from isocenter.operator.errors import ClusterError
from isocenter.operator.handlers import register
from isocenter.operator.settings import OperatorSettings
from isocenter.operator.startup import ProcessContext

log = logging.getLogger(__name__)


def main() -> None:
    """Run until SIGTERM.

    Exit code 2: a setting or the cluster's set-up is wrong; 1: the API server does
    not answer.
    """
    try:
        settings = load(OperatorSettings)
        configure_logs("operator", settings.log_level)
        context = ProcessContext.build(settings)
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging may not be set up yet
        sys.exit(ServiceExit.CONFIGURATION)
    except ClusterError as error:
        log.critical("the API server does not answer", extra={"error": str(error)})
        sys.exit(ServiceExit.FAILED)
    registry = kopf.OperatorRegistry()
    register(registry)
    log.info("serving", extra={"namespace": settings.namespace})
    try:
        kopf.run(
            registry=registry,
            memo=kopf.Memo(context=context),
            standalone=True,
            namespaces=[settings.namespace],
        )
    finally:
        context.close()


if __name__ == "__main__":
    main()
