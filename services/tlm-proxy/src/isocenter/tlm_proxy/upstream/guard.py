"""The guard of one service in one region: every call to it passes here.

A call waits for three things: its client's turn, a free connection and a token.
They wait here and not in the connection pool, because here clients take turns. A
caller that is cancelled, or whose deadline passes, leaves the queue and has cost
nothing; the circuit turns calls away, waiting ones too, when it opens.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from isocenter.tlm_proxy.errors import CircuitOpenError, OverloadedError
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.upstream.bucket import TokenBucket
from isocenter.tlm_proxy.upstream.circuit import Circuit, Entry, State
from isocenter.tlm_proxy.upstream.turns import Turns

log = logging.getLogger(__name__)

_LEAST_RETRY_S = 1.0


@dataclass(frozen=True)
class Limits:
    """What a guard allows.

    Attributes:
        calls_per_s: calls a second when nothing is throttled.
        connections: calls under way, the reading of their answers included.
        queue: calls that may wait.
    """

    calls_per_s: float
    connections: int
    queue: int


class Turn:
    """Leave to make one call. Whoever got it says how it ended, and ends it."""

    def __init__(self, guard: "Guard", entry: Entry) -> None:
        self._guard = guard
        self._entry = entry
        self._told = False
        self._ended = False

    def succeeded(self) -> None:
        """The service answered, be it that there is no such thing."""
        self._tell(lambda circuit: circuit.succeeded(self._entry))

    def throttled(self) -> None:
        """The service asks to be called less often; beside one of the others."""
        self._guard.slow_down()

    def failed(self, subject: str) -> None:
        """No answer in time, or a 5xx, to a call about ``subject``."""
        self._tell(lambda circuit: circuit.failed(self._entry, subject))

    def end(self) -> None:
        """The call's connection is free again. May be called again."""
        if self._ended:
            return
        self._ended = True
        self._tell(lambda circuit: circuit.abandoned(self._entry))
        self._guard.leave()

    def _tell(self, outcome: Callable[[Circuit], None]) -> None:
        if not self._told:
            self._told = True
            self._guard.tell(outcome)


class Guard:
    """One service in one region.

    Args:
        region: as in metrics and errors.
        service: the same.
        limits: how many calls.
        metrics: where waiting and refusals are counted.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        region: str,
        service: str,
        limits: Limits,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = f"HealthImaging ({service}) in {region}"
        self._limits = limits
        self._clock = clock
        self._bucket = TokenBucket(limits.calls_per_s, clock)
        self._circuit = Circuit(clock)
        self._turns: Turns[asyncio.Future[Turn]] = Turns(limits.queue)
        self._under_way = 0
        self._timer: asyncio.TimerHandle | None = None
        # Looked up once: this is on the way of every call.
        labels = (region, service)
        self._waiting = metrics.upstream_waiting.labels(*labels)
        self._waited = metrics.upstream_wait.labels(*labels)
        self._in_flight = metrics.upstream_in_flight.labels(*labels)
        self._rate = metrics.upstream_rate.labels(*labels)
        self._throttled = metrics.upstream_throttled.labels(*labels)
        self._state = metrics.upstream_circuit.labels(*labels)
        self._turned_away = {
            reason: metrics.upstream_turned_away.labels(*labels, reason)
            for reason in ("queue", "deadline", "circuit")
        }
        self._show()

    async def enter(self, client: str, until: float) -> Turn:
        """Wait for a turn; at once if there is nothing to wait for.

        Args:
            client: whose call it is; clients take turns.
            until: the loop's time by which the call has to be under way.

        Raises:
            OverloadedError: too many wait, or the turn did not come in time.
            CircuitOpenError: the service is not asked at the moment.
        """
        if self._circuit.retry_after() > 0:
            raise self._circuit_open()
        arrived = self._clock()
        turn: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        if (turned_away := self._turns.add(client, turn)) is turn:
            raise self._overloaded("queue", "too many calls wait already")
        if turned_away is not None and not turned_away.done():
            turned_away.set_exception(
                self._overloaded("queue", "too many calls of yours wait already")
            )
        self._serve()
        if not turn.done():
            await self._wait(client, turn, until)
        self._waited.observe(self._clock() - arrived)
        return turn.result()

    def aclose(self) -> None:
        """Stop the guard's timer."""
        if self._timer is not None:
            self._timer.cancel()

    # What a turn tells its guard.

    def tell(self, outcome: Callable[[Circuit], None]) -> None:
        """A call's outcome is known."""
        before = self._circuit.state
        outcome(self._circuit)
        after = self._circuit.state
        if after is not before:
            log.log(
                logging.WARNING if after is State.OPEN else logging.INFO,
                "%s: the circuit is %s",
                self._name,
                after.name.lower(),
            )
            self._serve()

    def slow_down(self) -> None:
        """A call was throttled."""
        self._throttled.inc()
        self._bucket.slow_down()

    def leave(self) -> None:
        """A call has ended."""
        self._under_way -= 1
        self._serve()

    async def _wait(
        self, client: str, turn: "asyncio.Future[Turn]", until: float
    ) -> None:
        """Until the turn has come, and not longer than the caller."""
        try:
            async with asyncio.timeout_at(until):
                await turn
        except BaseException as error:
            # Cancelled or too late: it was in nobody's way.
            self._turns.drop(client, turn)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # Its turn came in the same moment.
                self._bucket.give_back()
                turn.result().end()
            self._show()
            if isinstance(error, TimeoutError):
                raise self._overloaded(
                    "deadline", "its turn did not come in time"
                ) from (None)
            raise

    def _serve(self) -> None:
        """Give turns to those that wait, as far as it goes now."""
        while self._turns:
            if self._circuit.retry_after() > 0:
                self._turn_all_away()
                break
            if self._under_way >= self._limits.connections:
                break
            if (wait := self._bucket.take()) > 0:
                self._serve_in(wait)
                break
            turn = self._turns.next()
            if turn is None or turn.done():
                self._bucket.give_back()
                continue
            entry = self._circuit.enter()
            if entry is None:
                self._bucket.give_back()
                turn.set_exception(self._circuit_open())
                continue
            self._under_way += 1
            turn.set_result(Turn(self, entry))
        self._show()

    def _serve_in(self, wait: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait, self._serve_due)

    def _serve_due(self) -> None:
        self._timer = None
        self._serve()

    def _turn_all_away(self) -> None:
        while (turn := self._turns.next()) is not None:
            if not turn.done():
                turn.set_exception(self._circuit_open())

    def _circuit_open(self) -> CircuitOpenError:
        self._turned_away["circuit"].inc()
        wait = max(_LEAST_RETRY_S, self._circuit.retry_after())
        return CircuitOpenError(
            f"{self._name} keeps failing and is not asked: try again in {wait:.0f} s",
            retry_after=wait,
        )

    def _overloaded(self, reason: str, text: str) -> OverloadedError:
        self._turned_away[reason].inc()
        wait = max(_LEAST_RETRY_S, len(self._turns) / self._bucket.rate)
        return OverloadedError(
            f"{self._name}: {text}: try again in {wait:.0f} s", retry_after=wait
        )

    def _show(self) -> None:
        self._waiting.set(len(self._turns))
        self._in_flight.set(self._under_way)
        self._rate.set(self._bucket.rate)
        self._state.set(self._circuit.state)
