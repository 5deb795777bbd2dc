"""What a worker process inherits from its parent, as one argument."""

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from isocenter.storescp.workers.board import SharedBoard


@dataclass(frozen=True)
class Place:
    """One worker's place; descriptors are open in parent and worker alike.

    Attributes:
        number: of the worker, from 0.
        count: of all workers.
        board: descriptor of the board's memory.
        line: descriptor of the worker's end of its line to the parent.
        listeners: descriptor of each listening socket, and whether it is for TLS.
    """

    number: int
    count: int
    board: int
    line: int
    listeners: tuple[tuple[int, bool], ...]

    @classmethod
    def parse(cls, argument: str) -> Self:
        """From the command line."""
        members = json.loads(argument)
        members["listeners"] = tuple((file, tls) for file, tls in members["listeners"])
        return cls(**members)

    def to_argument(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    def inherited(self) -> Sequence[int]:
        """Descriptors that the worker needs."""
        return [self.board, self.line, *(file for file, _ in self.listeners)]

    def open_board(self) -> SharedBoard:
        """The board, for this worker."""
        return SharedBoard(self.board, self.count, self.number)

    def open_line(self) -> socket.socket:
        """The worker's end of the line."""
        return self._own(self.line)

    def open_listeners(self) -> list[tuple[socket.socket, bool]]:
        """The listening sockets, each with whether it is for TLS."""
        return [(self._own(file), tls) for file, tls in self.listeners]

    @staticmethod
    def _own(file: int) -> socket.socket:
        os.set_inheritable(file, False)
        return socket.socket(fileno=file)
