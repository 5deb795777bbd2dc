"""Whose call is next: clients take turns, each in its own order. Pure.

Every call costs the same, so taking turns needs no deficits: round robin is fair.
A client that wants a thousand frames delays another's first by one call at most.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Calls that wait, at most ``limit`` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._length = 0
        # The first client is the next, and its first call. Plain dicts also keep
        # their order, but search ever longer for their first once it was removed.
        self._clients: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()

    def __len__(self) -> int:
        return self._length

    def add(self, client: str, call: T) -> T | None:
        """Let ``call`` wait.

        Returns:
            The call that waits no longer: None while there is room. Else the last
            one of the client that has most of them, or ``call`` itself.
        """
        turned_away = None
        if self._length >= self._limit:
            own = len(self._clients.get(client, ()))
            # All of them are looked at, but only in a queue that is full.
            most = max(self._clients, key=lambda name: len(self._clients[name]))
            if len(self._clients[most]) <= own + 1:
                return call
            turned_away = next(reversed(self._clients[most]))
            self.drop(most, turned_away)
        self._clients.setdefault(client, OrderedDict())[call] = None
        self._length += 1
        return turned_away

    def next(self) -> T | None:
        """The next call, taken out; None if none waits."""
        if not self._clients:
            return None
        client, calls = next(iter(self._clients.items()))
        call = next(iter(calls))
        self.drop(client, call)
        if client in self._clients:
            self._clients.move_to_end(client)
        return call

    def drop(self, client: str, call: T) -> None:
        """``call`` does not wait any more; nothing if it didn't."""
        calls = self._clients.get(client)
        if calls is None or call not in calls:
            return
        del calls[call]
        self._length -= 1
        if not calls:
            del self._clients[client]
