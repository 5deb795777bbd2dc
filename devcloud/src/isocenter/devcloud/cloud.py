"""The three servers of devcloud in one process: started, seeded, ended."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import uvicorn
from fastapi import FastAPI, Response

from isocenter.devcloud import aws, seed
from isocenter.devcloud.calls import IMAGING, Calls, recorded
from isocenter.devcloud.sagemaker.app import create_app as sagemaker_app
from isocenter.devcloud.sagemaker.engine import Engine
from isocenter.devcloud.sagemaker.manifest import PodSettings
from isocenter.devcloud.sagemaker.manual_runner import ManualRunner
from isocenter.devcloud.sagemaker.runner import Runner
from isocenter.devcloud.sagemaker.store import Store
from isocenter.devcloud.settings import Settings

logger = logging.getLogger(__name__)

_START_SECONDS = 60.0


class StartError(Exception):
    """A server did not come up."""


class AsgiServer:
    """An ASGI app on a bound socket, served by uvicorn in a thread."""

    def __init__(self, name: str, app: Any, listening: socket.socket) -> None:
        self._socket = listening
        self._name = name
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="auto",
                timeout_graceful_shutdown=5,
            )
        )
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Serve, and return once requests are answered."""
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise StartError(f"the {self._name} server did not start")
            time.sleep(0.05)

    def stop(self) -> None:
        """End serving and free the port."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(timeout=10)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


class DevCloud:
    """Everything of one devcloud; use `start` and `stop`, or `with`.

    `healthimaging` makes the HealthImaging app (see healthimaging/app.py).
    """

    def __init__(self, settings: Settings, healthimaging: Callable[..., Any]) -> None:
        self.settings = settings
        self.ready = False
        self._stack = contextlib.ExitStack()
        try:
            self._build(settings, healthimaging)
        except BaseException:
            self._stack.close()
            raise

    def _build(self, settings: Settings, healthimaging: Callable[..., Any]) -> None:
        host = settings.host
        self.calls = Calls()
        self._aws = aws.AwsServer(
            host, settings.aws_port, settings.account_id, self.calls
        )
        self._stack.callback(self._aws.stop)
        imaging_socket = _listen(host, settings.healthimaging_port)
        self._stack.callback(imaging_socket.close)
        sagemaker_socket = _listen(host, settings.sagemaker_port)
        self._stack.callback(sagemaker_socket.close)
        self.endpoints = aws.Endpoints(
            aws=_url(host, self._aws.port),
            healthimaging=_url(host, imaging_socket.getsockname()[1]),
            sagemaker=_url(host, sagemaker_socket.getsockname()[1]),
        )
        clients = aws.connect(self.endpoints, settings.region)
        self.engine = Engine(
            Store(settings.account_id, settings.region),
            runner(settings),
            publisher(clients.events),
            event_copies=settings.event_copies,
        )
        imaging = healthimaging(
            data_dir=settings.data_dir,
            account_id=settings.account_id,
            region=settings.region,
            clients=clients,
        )
        imaging = recorded(imaging, IMAGING, self.calls)
        sagemaker = recorded(self._sagemaker_app(), "sagemaker", self.calls)
        self._servers = [
            AsgiServer("healthimaging", imaging, imaging_socket),
            AsgiServer("sagemaker", sagemaker, sagemaker_socket),
        ]

    def start(self) -> None:
        """Serve, seed, then be ready; raises StartError or SeedError."""
        settings = self.settings
        self._aws.start()
        for server in self._servers:
            server.start()
            self._stack.callback(server.stop)
        self.engine.start(settings.tick_seconds)
        self._stack.callback(self.engine.stop)
        if settings.seed_file is not None:
            variables = {"account": settings.account_id, "region": settings.region}
            seed.apply(seed.read(settings.seed_file), self.client, variables)
        self.ready = True
        logger.info(
            "ready: aws %s, healthimaging %s, sagemaker %s",
            self.endpoints.aws,
            self.endpoints.healthimaging,
            self.endpoints.sagemaker,
        )

    def stop(self) -> None:
        """End in the reverse order of the start; running Jobs are left alone."""
        self.ready = False
        self._stack.close()

    def client(self, service: str) -> Any:
        """A boto3 client of this cloud."""
        return aws.client(service, self.endpoints.url(service), self.settings.region)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _sagemaker_app(self) -> FastAPI:
        app = sagemaker_app(self.engine)

        @app.get("/_devcloud/health")
        def health(response: Response) -> dict[str, str]:
            response.status_code = 200 if self.ready else 503
            return {"status": "ready" if self.ready else "starting"}

        @app.get("/_devcloud/calls")
        def calls() -> dict[str, list[str]]:
            return self.calls.seen()

        return app


def runner(settings: Settings) -> Runner:
    """What runs the steps, by the setting `executor`."""
    if settings.executor == "manual":
        return ManualRunner()
    # Kubernetes' client takes seconds to import, and is of no use without a cluster.
    from isocenter.devcloud.sagemaker import kubernetes_runner  # noqa: PLC0415 - see above

    made = kubernetes_runner.connect(pod_settings(settings), settings.region)
    made.sweep()
    return made


def pod_settings(settings: Settings) -> PodSettings:
    """What the settings say about the pods of steps."""
    return PodSettings(
        namespace=settings.namespace,
        instance=settings.instance,
        devcloud_image=settings.image,
        image_pull_policy=settings.image_pull_policy,
        service_account=settings.step_service_account,
        environment=settings.endpoints(),
        ttl_seconds=settings.job_ttl_seconds,
        resources=settings.step_resources,
        moving_resources=settings.moving_resources,
    )


def publisher(events: Any) -> Callable[[list[dict[str, Any]]], None]:
    """PutEvents; an entry that was refused counts as an error of the whole call."""

    def publish(entries: list[dict[str, Any]]) -> None:
        answer = events.put_events(Entries=entries)
        if answer["FailedEntryCount"]:
            raise OSError(f"PutEvents refused entries: {answer['Entries']}")

    return publish


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def _url(host: str, port: int) -> str:
    """How this process reaches its own server, also when it listens everywhere."""
    local = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - a comparison, nothing is bound
    return f"http://{local}:{port}"
