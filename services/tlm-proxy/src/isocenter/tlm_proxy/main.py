"""Entry point ``isocenter-tlm-proxy``: serve until SIGTERM, then drain."""

import logging
import sys

from prometheus_client import CollectorRegistry

from isocenter.core import log as logs
from isocenter.core.errors import ConfigurationError
from isocenter.core.exit_codes import ServiceExit
from isocenter.core.settings import load
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings
from isocenter.tlm_proxy.workers.serving import serve_alone, serve_together

log = logging.getLogger(__name__)


def main() -> None:
    """Serve; exit 2 if the settings are not usable, 0 after SIGTERM."""
    logs.configure("tlm-proxy")
    try:
        settings = load(Settings)
        logs.configure("tlm-proxy", settings.log_level)
        # Built for several workers too: what is wrong is said once, and at once.
        alone = settings.workers == 1
        metrics = Metrics() if alone else Metrics(CollectorRegistry())
        context = ProcessContext.build(settings, metrics)
        served = serve_alone(context) if alone else serve_together(settings)
    except ConfigurationError as error:
        log.error("%s", error)  # noqa: TRY400 - the text says it all
        sys.exit(ServiceExit.CONFIGURATION)
    if not served:
        sys.exit(ServiceExit.FAILED)
