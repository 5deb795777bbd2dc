"""The OpenAPI document, without an answer that this service never gives.

FastAPI describes a 422 for each path with a checked parameter. Here such a request is
answered 400 with a problem document, which the routes describe themselves.
"""

from collections.abc import Callable
from typing import Any

_NEVER_ANSWERED = "422"
_ITS_SCHEMAS = ("HTTPValidationError", "ValidationError")


def described_as_answered(describe: Callable[[], dict[str, Any]]) -> Callable[[], Any]:
    """FastAPI's ``openapi`` of an application, less the answers that never come."""

    def openapi() -> dict[str, Any]:
        document = describe()
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop(_NEVER_ANSWERED, None)
        schemas = document.get("components", {}).get("schemas", {})
        for name in _ITS_SCHEMAS:
            schemas.pop(name, None)
        return document

    return openapi
