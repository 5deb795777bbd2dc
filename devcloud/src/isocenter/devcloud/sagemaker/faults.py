"""Faults that a control call switches on: errors, a given number of times."""

import threading
from dataclasses import dataclass


@dataclass(slots=True)
class Fault:
    """`times` calls of `operation` are answered by `code` with HTTP `status`."""

    operation: str
    code: str
    message: str
    status: int
    times: int


class Faults:
    """The faults that are on, first come first served."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Switch a fault on."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._faults.clear()

    def take(self, operation: str) -> Fault | None:
        """The fault that this call of an operation meets, counted down."""
        with self._lock:
            for fault in self._faults:
                if fault.operation == operation and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None
