"""The part of AWS that moto's server is good at, and clients to reach this cloud.

S3, SQS, EventBridge, Cognito, IAM, STS and what else moto has. HealthImaging and
SageMaker calls that come here were sent to the wrong port and are told so.
"""

import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from isocenter.devcloud.calls import Calls, Request

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_SCOPE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/(?P<service>[^/]+)/aws4_request")
_ELSEWHERE = {
    "medical-imaging": "AWS_ENDPOINT_URL_MEDICAL_IMAGING",
    "sagemaker": "AWS_ENDPOINT_URL_SAGEMAKER",
}


@dataclass(frozen=True, slots=True)
class Clients:
    """The boto3 clients by which devcloud uses itself, over the wire."""

    s3: Any
    events: Any


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base URLs of the three servers."""

    aws: str
    healthimaging: str
    sagemaker: str

    def url(self, service: str) -> str:
        """The server that answers a service, by its boto3 name."""
        by_service = {
            "medical-imaging": self.healthimaging,
            "sagemaker": self.sagemaker,
        }
        return by_service.get(service, self.aws)


class AwsServer:
    """moto's server, bound at once and served in a thread after `start`."""

    def __init__(self, host: str, port: int, account_id: str, calls: Calls) -> None:
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        # moto keeps its state per process, not per server: begin as a new account.
        BackendDict.reset()
        reset_model_data()
        app = front(DomainDispatcherApplication(create_backend_app), account_id, calls)
        self._server: BaseWSGIServer = make_server(
            host, port, app, threaded=True, request_handler=MotoRequestHandler
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="aws", daemon=True
        )

    @property
    def port(self) -> int:
        """The port bound, also when 0 was asked for."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def stop(self) -> None:
        """End serving and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(timeout=10)
        self._server.server_close()


def front(app: Wsgi, account_id: str, calls: Calls) -> Wsgi:
    """What every request passes before moto: account, wrong-port check, record.

    S3 is path-style only, which is what SDKs do when an endpoint is set.
    """

    def answer(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        service = scope["service"] if scope else ""
        if service in _ELSEWHERE:
            text = f"{service} is on its own port: set {_ELSEWHERE[service]}"
            body = json.dumps({"__type": "NotImplemented", "message": text}).encode()
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
            ]
            start_response("501 Not Implemented", headers)
            return [body]
        if service:
            calls.record(service, *_request(environ))
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = account_id
        if service in {"s3", ""}:
            # moto takes the first label of any other host for a bucket, so that
            # http://devcloud.ns.svc/bucket/key would be bucket `devcloud`.
            environ["HTTP_HOST"] = "localhost"
        return app(environ, start_response)

    return answer


def _request(environ: dict[str, Any]) -> tuple[Request, str]:
    """A WSGI request, and its body if that is a form: the query protocol's."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    form = b""
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        form = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(form)
    request = Request(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        headers,
    )
    return request, form.decode("latin-1")


def client(service: str, endpoint_url: str, region: str) -> Any:
    """A boto3 client of this cloud; the credentials are throw-away."""
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id="devcloud",
        aws_secret_access_key="devcloud",  # noqa: S106 - nothing checks it
        config=Config(
            inject_host_prefix=False,
            retries={"mode": "standard", "total_max_attempts": 3},
        ),
    )


def connect(endpoints: Endpoints, region: str) -> Clients:
    """The clients that HealthImaging and SageMaker work with."""
    return Clients(
        s3=client("s3", endpoints.aws, region),
        events=client("events", endpoints.aws, region),
    )
