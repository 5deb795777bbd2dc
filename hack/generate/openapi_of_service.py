"""`python -m generate.openapi_of_service NAME`: a service's OpenAPI document.

A process of its own: to build the tile proxy's application takes an AWS region in the
environment, which the generator must not depend on.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import CollectorRegistry

from isocenter.fetcher import routes
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.http.app import create_app
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.settings import Settings

if TYPE_CHECKING:
    from isocenter.fetcher.jobs import Jobs

_PATH = "/openapi.json"


def main(name: str) -> None:
    """Print the document as the service itself answers it."""
    document = asyncio.run(_get(SERVICES[name]()))
    print(json.dumps(document, indent=2))


def _fetcher() -> Any:
    # The jobs are only used by requests that are never made.
    return routes.create_app(cast("Jobs", None))


def _tlm_proxy() -> Any:
    settings = Settings(auth_mode="none", runs_s3_uri="s3://bucket/runs/")
    return create_app(ProcessContext.build(settings, Metrics(CollectorRegistry())))


SERVICES: dict[str, Callable[[], Any]] = {
    "fetcher": _fetcher,
    "tlm-proxy": _tlm_proxy,
}


async def _get(app: Any) -> Any:
    """The document, asked of the application by ASGI."""
    body = b""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal body
        body += message.get("body", b"")

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": _PATH,
        "raw_path": _PATH.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    return json.loads(body)


if __name__ == "__main__":
    main(sys.argv[1])
