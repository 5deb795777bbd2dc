"""What tests may switch, below ``/_devcloud/``; no part of AWS.

- ``POST /_devcloud/healthimaging/event-key`` ``{"key": "imageSetId"}``: the
  key of the image set in events (documented ``imagesetId`` is the default).
- ``POST /_devcloud/healthimaging/faults`` ``{"operation": "GetImageFrame",
  "error": "ThrottlingException", "count": 3}``: the next calls fail; 0 ends it.
- ``GET /_devcloud/healthimaging/healthz``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field

from isocenter.devcloud.healthimaging.errors import ERRORS

if TYPE_CHECKING:
    from fastapi import FastAPI

    from isocenter.devcloud.healthimaging.events import EventSender
    from isocenter.devcloud.healthimaging.protocol import Operation, Payload

__all__ = ["Faults", "add_controls"]


class EventKey(BaseModel):
    """The key under which events carry the image set's id."""

    model_config = ConfigDict(extra="forbid")
    key: Literal["imagesetId", "imageSetId"]


class Fault(BaseModel):
    """An error that the next ``count`` calls of an operation answer with."""

    model_config = ConfigDict(extra="forbid")
    operation: str
    error: str
    count: Annotated[int, Field(ge=0)] = 1


class Faults:
    """The faults that are switched on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[str, Fault] = {}
        self._known: set[str] = set()

    def wrap(self, name: str, call: Operation) -> Operation:
        """The operation, failing as long as a fault for it is left."""
        self.know(name)

        def faulty(params: dict[str, Any]) -> dict[str, Any] | Payload:
            self.check(name)
            return call(params)

        return faulty

    def know(self, name: str) -> None:
        """Take faults for an operation."""
        self._known.add(name)

    def check(self, name: str) -> None:
        """Raise the fault that is switched on for an operation's next call."""
        with self._lock:
            fault = self._left.get(name)
            if fault is not None and fault.count > 0:
                fault.count -= 1
                raise ERRORS[fault.error]("A fault was switched on in devcloud")

    def set(self, fault: Fault) -> None:
        """Switch a fault on; ValueError for an unknown operation or error."""
        if fault.operation not in self._known:
            raise ValueError(f"devcloud does not have {fault.operation}")
        if fault.error not in ERRORS:
            raise ValueError(f"error must be one of {', '.join(sorted(ERRORS))}")
        with self._lock:
            self._left[fault.operation] = fault


def add_controls(app: FastAPI, events: EventSender, faults: Faults) -> None:
    """Add the control routes."""

    @app.post("/_devcloud/healthimaging/event-key", status_code=204)
    def set_event_key(wanted: EventKey) -> None:
        events.image_set_key = wanted.key

    @app.post("/_devcloud/healthimaging/faults", status_code=204)
    def set_fault(fault: Fault) -> None:
        try:
            faults.set(fault)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @app.get("/_devcloud/healthimaging/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}
