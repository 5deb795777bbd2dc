"""``isocenter-intake``: events of the queue, and a sweep, become resources."""

import logging
import signal
import sys
import threading
import time
from dataclasses import dataclass

from isocenter.core.errors import ConfigurationError
from isocenter.core.exit_codes import ServiceExit
from isocenter.core.health import HealthServer
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.core.log import configure as configure_logs
from isocenter.core.settings import load
from isocenter.operator.cluster import Cluster
from isocenter.operator.intake.consumer import Consumer
from isocenter.operator.intake.queue import Queue
from isocenter.operator.intake.reactions import Reactions
from isocenter.operator.intake.settings import IntakeSettings
from isocenter.operator.intake.sweep import Sweep
from isocenter.operator.intake.tally import Tally
from isocenter.operator.objects import ObjectStore

log = logging.getLogger(__name__)

_STALLED_S = 300.0


@dataclass(frozen=True)
class IntakeProcess:
    """The loops of the process, each for a thread of its own."""

    consumers: tuple[Consumer, ...]
    sweep: Sweep

    @classmethod
    def build(cls, settings: IntakeSettings) -> "IntakeProcess":
        """From the settings and the environment.

        Raises:
            ConfigurationError: no region, or no cluster.
        """
        pool = settings.workers + 2
        cluster = Cluster.connect(settings.namespace, pool=pool)
        healthimaging = HealthImaging.connect(pool=pool)
        objects = ObjectStore.connect(pool=pool)
        tally = Tally(cluster)
        reactions = Reactions(cluster, healthimaging, objects, tally, settings)
        queue = Queue.connect(
            settings.queue_url,
            visibility_s=settings.visibility_s,
            wait_s=settings.receive_wait_s,
            pool=pool,
        )
        consumers = tuple(
            Consumer(
                queue,
                reactions,
                tally,
                batches_prefix=settings.batches_prefix,
                max_backoff_s=settings.max_backoff_s,
            )
            for _ in range(settings.workers)
        )
        sweep = Sweep(cluster, healthimaging, objects, reactions, settings)
        return cls(consumers, sweep)

    def alive(self) -> str | None:
        """Whether every consumer has moved lately."""
        oldest = min(consumer.last_beat for consumer in self.consumers)
        stalled = time.monotonic() - oldest > _STALLED_S
        return "a consumer has stalled" if stalled else None

    def ready(self) -> str | None:
        """Whether messages can be received."""
        return next((c.problem for c in self.consumers if c.problem), None)

    def run(self, stop: threading.Event) -> None:
        """Run every loop until ``stop`` is set and each has finished its message."""
        loops = [consumer.run for consumer in self.consumers]
        threads = [
            threading.Thread(target=loop, args=(stop,), name=f"intake-{number}")
            for number, loop in enumerate([*loops, self.sweep.run])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main() -> None:
    """Run until SIGTERM. Exit code 2: a setting is wrong."""
    try:
        settings = load(IntakeSettings)
        configure_logs("intake", settings.log_level)
        process = IntakeProcess.build(settings)
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging may not be set up yet
        sys.exit(ServiceExit.CONFIGURATION)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    health = HealthServer(
        settings.health_port, alive=process.alive, ready=process.ready
    )
    log.info("receiving", extra={"namespace": settings.namespace})
    try:
        process.run(stop)
    finally:
        health.close()


if __name__ == "__main__":
    main()
