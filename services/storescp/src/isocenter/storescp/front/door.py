"""Lets connections in, or not: one thread for all that have no association yet.

A connection costs a descriptor and some hundred bytes until its A-ASSOCIATE-RQ is
complete. Only an association that was accepted gets a thread.
"""

import contextlib
import logging
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence

from isocenter.storescp import metrics
from isocenter.storescp.association.negotiation import (
    Acceptance,
    Negotiated,
    negotiate,
)
from isocenter.storescp.association.refusal import Refused, Rejection
from isocenter.storescp.association.registry import Registry
from isocenter.storescp.front.complaints import Complaints
from isocenter.storescp.front.entrance import Entrance
from isocenter.storescp.front.keepalive import keep_alive
from isocenter.storescp.front.limits import Limits, Queue
from isocenter.storescp.front.listening import Listener
from isocenter.storescp.front.pending import READ, Pending, Stage
from isocenter.storescp.front.tls import Certificates
from isocenter.storescp.peers import Caller, plain_address
from isocenter.storescp.workers.board import Board, LoneBoard

log = logging.getLogger(__name__)

Serve = Callable[[socket.socket, Negotiated], None]

_TICK_S = 0.25
_RELOAD_S = 2.0
_LINGER_S = 2.0
_STUMBLED_S = 0.1


class Door:
    """Accepts connections and associations.

    Args:
        listeners: where peers connect.
        acceptance: who and what is accepted.
        limits: how many.
        serve: called in a new thread for each association, after its A-ASSOCIATE-AC
            was sent; the socket is closed when it returns.
        registry: places of established associations.
        certificates: for the listeners with TLS.
        board: what the other workers do.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        *,
        acceptance: Acceptance,
        limits: Limits,
        serve: Serve,
        registry: Registry,
        certificates: Certificates | None = None,
        board: Board | None = None,
    ) -> None:
        self._acceptance, self._limits = acceptance, limits
        self._serve, self._registry = serve, registry
        self._certificates = certificates
        self._board = board or LoneBoard()
        self._noting = threading.Lock()
        self._queue = Queue(limits)
        self._complaints = Complaints()
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._entrance = Entrance(
            listeners, self._selector, self._board, self._queue.__len__
        )
        self._accepting = True
        self._closing = False
        self._closed = threading.Event()
        self._looked = self._reloaded = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._entrance.open()
        self._selector.register(self._woken, READ)
        self._thread.start()

    def listening(self) -> bool:
        """Whether connections are accepted."""
        return self._accepting and self._thread.is_alive()

    def pending(self) -> int:
        """Connections that have no association yet."""
        return len(self._queue)

    def stop_accepting(self) -> None:
        """Close the ports; requests that are on their way are rejected."""
        with self._noting:
            self._accepting = False
            self._board.leave()
        if self._thread.is_alive():
            self._wake()
            self._closed.wait()

    def close(self) -> None:
        """End the thread, and every connection that has no association."""
        self.stop_accepting()
        self._closing = True
        if self._thread.is_alive():
            self._wake()
            self._thread.join()
        self._waker.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake anyway
            self._waker.send(b"\0")

    def _run(self) -> None:
        self._note()  # from here on others leave connections to this process
        while not self._closing:
            try:
                self._turn()
            except Exception:
                log.exception("the door stumbled")
                time.sleep(_STUMBLED_S)
        for fd in self._queue:
            self._drop(fd)
        self._selector.close()
        self._woken.close()

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._patience()):
            try:
                self._ready(key)
            except Exception:
                log.exception("a connection could not be looked after")
                self._drop(key.fd)
        if not self._accepting and not self._closed.is_set():
            for accepted in self._entrance.close():
                self._enter(*accepted)
            self._closed.set()
        now = time.monotonic()
        self._entrance.resume(now)
        if now - self._looked >= _TICK_S:
            self._looked = now
            self._give_up(now)
            metrics.CONNECTIONS_PENDING.set(len(self._queue))
        if self._certificates and now - self._reloaded >= _RELOAD_S:
            self._reloaded = now
            self._certificates.refresh()

    def _patience(self) -> float:
        resume_at = self._entrance.resume_at
        if resume_at is None:
            return _TICK_S
        return min(_TICK_S, max(0.0, resume_at - time.monotonic()))

    def _ready(self, key: selectors.SelectorKey) -> None:
        if isinstance(key.data, Listener):
            self._accept(key.data)
        elif key.fileobj is self._woken:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(64)
        elif (pending := self._queue.get(key.fd)) is not None:
            self._advance(key.fd, pending)

    def _accept(self, listener: Listener) -> None:
        for accepted in self._entrance.accept(listener):
            if isinstance(accepted, OSError):
                self._make_room(accepted)
            else:
                self._enter(*accepted)

    def _make_room(self, error: OSError) -> None:
        """Without descriptors, waiting connections are what can be given up."""
        log.warning("can't accept a connection", extra={"error": str(error.strerror)})
        oldest = self._queue.oldest_of_busiest()
        if oldest is not None:
            self._push_out(oldest)

    def _enter(
        self, connection: socket.socket, address: tuple[str, int], tls: bool
    ) -> None:
        peer, port = plain_address(address[0]), address[1]
        surplus = self._queue.surplus(peer)
        if surplus is not None:
            self._push_out(surplus)
        connection.setblocking(False)
        try:
            keep_alive(connection)
        except OSError:  # gone already
            connection.close()
            return
        context = self._certificates.context if tls and self._certificates else None
        deadline = time.monotonic() + self._limits.artim_s
        pending = Pending(connection, peer, port, deadline, context)
        fd = connection.fileno()
        self._queue.add(fd, pending)
        self._selector.register(fd, READ)
        try:
            # Most have sent something, or have gone, by now.
            self._advance(fd, pending)
        except Exception:
            log.exception("a connection could not be looked after")
            self._drop(fd)

    def _push_out(self, fd: int) -> None:
        pending = self._queue.get(fd)
        if pending is not None:
            self._complain(
                pending, "crowded_out", "too many connections without an association"
            )
            self._drop(fd)

    def _advance(self, fd: int, pending: Pending) -> None:
        before = pending.wants
        refused = pending.step()
        if refused is not None:
            self._refuse(pending, refused)
        elif pending.stage is Stage.COMPLETE:
            self._decide(pending)
        if pending.failure is not None:
            self._tell_failure(pending)
        if pending.stage is Stage.ACCEPTED:
            self._hand_over(fd, pending)
        elif pending.stage is Stage.GONE:
            self._drop(fd)
        else:
            if pending.wants != before:
                self._selector.modify(fd, pending.wants)
            largest = self._queue.hold(fd, len(pending.request))
            if largest is not None:
                self._push_out(largest)

    def _tell_failure(self, pending: Pending) -> None:
        pending.deadline = time.monotonic() + _LINGER_S
        text, pending.failure = str(pending.failure), None
        if pending.no_tls:
            self._complain(pending, "tls_failed", text, outcome="tls_failed")
        else:
            self._complain(pending, "broken_off", text)

    def _decide(self, pending: Pending) -> None:
        certificate = None
        if isinstance(pending.connection, ssl.SSLSocket):
            certificate = pending.connection.getpeercert()
        caller = Caller.at(pending.address, certificate)
        result = negotiate(
            bytes(pending.request), self._acceptance, caller, pending.port
        )
        if isinstance(result, Negotiated):
            place = f"{result.peer.calling_ae} {result.peer.address}"
            refused = self._take(place)
            if refused is None:
                pending.place, pending.negotiated = place, result
                pending.accept(result.answer)
                return
            result = refused.by(result.peer.calling_ae, result.peer.called_ae)
        self._refuse(pending, result)

    def _take(self, place: str) -> Refused | None:
        """Take a place for one more association, or say why there is none."""
        if not self._accepting:
            return Refused(Rejection.CONGESTION, "stopping")
        refused = self._too_many(place)
        if refused is None:
            self._registry.enter(place)
            self._note(place)
            # Another worker may have given the last place away at the same moment.
            # Whoever sees that gives way, both if need be: no limit is passed.
            refused = self._too_many(place, taken=1)
            if refused is not None:
                self._leave(place)
        return refused

    def _too_many(self, place: str, taken: int = 0) -> Refused | None:
        return self._limits.refused(
            self._board.elsewhere() + self._registry.total() - taken,
            self._board.peer_elsewhere(place) + self._registry.of(place) - taken,
        )

    def _leave(self, place: str) -> None:
        self._registry.leave(place)
        self._note(place)

    def _refuse(self, pending: Pending, refused: Refused) -> None:
        pending.deadline = time.monotonic() + _LINGER_S
        self._complaints.refused(
            refused.slug,
            refused.text,
            pending.address,
            outcome=refused.outcome,
            calling_ae=refused.calling_ae,
        )
        pending.refuse(refused.answer)

    def _hand_over(self, fd: int, pending: Pending) -> None:
        self._selector.unregister(fd)
        self._queue.remove(fd)
        try:
            pending.connection.setblocking(True)
            threading.Thread(
                target=self._serve_one,
                args=(pending.connection, pending.negotiated, pending.place),
                name=f"association-{fd}",
                daemon=True,
            ).start()
        except (OSError, RuntimeError) as error:
            self._complain(pending, "no_thread", str(error))
            self._give_back(pending)
            pending.close()

    def _serve_one(
        self, connection: socket.socket, negotiated: Negotiated, place: str
    ) -> None:
        try:
            self._serve(connection, negotiated)
        except Exception:
            log.exception("association failed", extra={"peer": negotiated.peer.address})
        finally:
            with contextlib.suppress(OSError):
                connection.close()
            self._leave(place)

    def _give_up(self, now: float) -> None:
        for fd, pending in self._queue.due(now):
            if pending.stage is not Stage.LINGERING:
                self._complain(
                    pending,
                    "timed_out",
                    f"not established within {self._limits.artim_s:g} s",
                )
            self._drop(fd)

    def _drop(self, fd: int) -> None:
        pending = self._queue.get(fd)
        if pending is None:
            return
        with contextlib.suppress(KeyError):
            self._selector.unregister(fd)
        self._queue.remove(fd)
        self._give_back(pending)
        pending.close()

    def _give_back(self, pending: Pending) -> None:
        if pending.place is not None:
            self._leave(pending.place)
            pending.place = None

    def _note(self, place: str | None = None) -> None:
        with self._noting:  # what is noted last is true
            if self._accepting:
                self._board.note(self._registry.total())
            if place is not None:
                self._board.note_peer(place, self._registry.of(place))

    def _complain(
        self, pending: Pending, reason: str, text: str, *, outcome: str = "refused"
    ) -> None:
        self._complaints.refused(reason, text, pending.address, outcome=outcome)
