"""The AWS services HealthImaging itself calls, over the wire."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Clients"]


class Clients(Protocol):
    """boto3 clients; an ``isocenter.devcloud`` process makes them once."""

    @property
    def s3(self) -> Any:
        """A boto3 ``s3`` client."""

    @property
    def events(self) -> Any:
        """A boto3 ``events`` client."""
