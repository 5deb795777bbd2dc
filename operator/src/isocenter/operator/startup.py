"""What lives as long as the operator process: built at start, closed at its end."""

import time
from dataclasses import dataclass
from datetime import timedelta

import kopf

from isocenter.core import aws
from isocenter.core.errors import ConfigurationError
from isocenter.core.health import HealthServer
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.operator.cluster import Cluster
from isocenter.operator.controller import Controller
from isocenter.operator.errors import GoneError
from isocenter.operator.executions import Executions
from isocenter.operator.import_jobs import ImportJobs
from isocenter.operator.imports import Imports
from isocenter.operator.objects import ObjectStore
from isocenter.operator.reconciling import Reconciler
from isocenter.operator.resources import PLURALS
from isocenter.operator.settings import OperatorSettings
from isocenter.operator.training_runs import TrainingRuns
from isocenter.operator.training_triggers import TrainingTriggers

_STALLED_S = 60.0


@dataclass(frozen=True)
class ProcessContext:
    """Everything that is there once per process."""

    controller: Controller
    health: HealthServer
    watch_timeout_s: int

    @classmethod
    def build(cls, settings: OperatorSettings) -> "ProcessContext":
        """From the settings and the environment.

        Raises:
            ConfigurationError: no region, no cluster, or no definitions in it.
            ClusterError: the API server does not answer.
        """
        cluster = Cluster.connect(settings.namespace, pool=settings.workers + 2)
        require_definitions(cluster)
        controller = Controller(
            reconcilers(settings),
            cluster,
            poll_interval_s=settings.poll_interval_s,
            max_backoff_s=settings.max_backoff_s,
            workers=settings.workers,
        )

        def alive() -> str | None:
            stalled = time.monotonic() - controller.last_tick > _STALLED_S
            return "the polling loop has stalled" if stalled else None

        return cls(
            controller=controller,
            health=HealthServer(settings.health_port, alive=alive, ready=alive),
            watch_timeout_s=settings.watch_timeout_s,
        )

    def close(self) -> None:
        """Stop the threads; looks have ended before."""
        self.controller.close()
        self.health.close()


def reconcilers(settings: OperatorSettings) -> dict[str, Reconciler]:
    """One reconciler per kind, on AWS clients of this process."""
    pool = settings.workers + 2
    objects = ObjectStore.connect(pool=pool)
    healthimaging = HealthImaging.connect(pool=pool)
    executions = Executions(
        aws.client("sagemaker", pool=pool),
        objects,
        bucket=settings.bucket,
        runs_prefix=settings.runs_prefix,
    )
    return {
        PLURALS["TrainingRun"]: TrainingRuns(
            executions, healthimaging, image_set_checks=settings.image_set_checks
        ),
        PLURALS["DICOMImportJob"]: ImportJobs(
            Imports(healthimaging, objects, settings.import_role_arn),
            output_wait=timedelta(seconds=settings.import_output_wait_s),
        ),
        PLURALS["TrainingTrigger"]: TrainingTriggers(),
    }


def require_definitions(cluster: Cluster) -> None:
    """Stop the start when the API server does not know our kinds.

    kopf would only warn, and serve nothing until it is restarted.
    """
    for kind, plural in PLURALS.items():
        try:
            next(cluster.resources(plural), None)
        except GoneError as error:
            raise ConfigurationError(
                f"the cluster has no definition of {kind}: install the chart with "
                "crds.enabled=true"
            ) from error


def configure(settings: kopf.OperatorSettings, *, watch_timeout_s: int) -> None:
    """Settings of kopf that differ from its defaults."""
    # Only the listing at start and the watches: no reads of CRDs and namespaces,
    # which would need rights in the whole cluster.
    settings.scanning.disabled = True
    # In whole seconds: the API server refuses fractions.
    settings.watching.server_timeout = watch_timeout_s
    settings.watching.client_timeout = watch_timeout_s + 60
    settings.watching.connect_timeout = 10
    settings.posting.enabled = False
    settings.peering.standalone = True
