"""A well-behaved requestor on a raw socket, cheap enough to load a service with."""

import socket
import struct

from faults.storescp import wire


class GoneError(Exception):
    """The service ended the association, or the connection."""


class Peer:
    """One association; raises ``GoneError`` as soon as it isn't one any more.

    Args:
        port: of the service.
        source: address that the connection comes from; all of 127/8 is this host.
        timeout: seconds for each answer.
        contexts: presentation contexts that are proposed.
    """

    def __init__(
        self,
        port,
        *,
        calling="SENDER",
        source="127.0.0.1",
        timeout=10.0,
        contexts=wire.CONTEXTS,
    ):
        self._messages = 0
        try:
            self.socket = socket.create_connection(
                ("127.0.0.1", port), timeout, source_address=(source, 0)
            )
        except OSError as error:
            raise GoneError(f"no connection: {error}") from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._send(wire.associate_rq(calling=calling, contexts=contexts))
            self._piece = _piece(self._accepted())
        except BaseException:
            self.close()
            raise

    def _accepted(self):
        kind, body = self.read()
        if kind != wire.AC:
            raise GoneError(f"refused: {kind} {body[:4].hex()}")
        return body

    def _send(self, content):
        try:
            self.socket.sendall(content)
        except OSError as error:
            raise GoneError(str(error)) from error

    def _read_all(self, count):
        pieces = bytearray()
        while len(pieces) < count:
            try:
                piece = self.socket.recv(count - len(pieces))
            except TimeoutError as error:
                raise GoneError(f"no answer in {self.socket.gettimeout()} s") from error
            except OSError as error:
                raise GoneError(str(error)) from error
            if not piece:
                raise GoneError("closed")
            pieces += piece
        return bytes(pieces)

    def read(self):
        """Kind and body of the next PDU."""
        kind, length = struct.unpack(">BxI", self._read_all(6))
        assert kind in range(2, 8), f"PDU of type {kind}"
        assert length < 1 << 20, f"PDU of {length} bytes"
        return kind, self._read_all(length)

    def response(self):
        """The elements of the next response."""
        command = b""
        while True:
            kind, body = self.read()
            if kind != wire.DATA:
                raise GoneError(f"PDU {kind} {body.hex()[:16]}")
            at = 0
            while at < len(body):
                length, _, control = struct.unpack_from(">IBB", body, at)
                command += body[at + 6 : at + 4 + length]
                at += 4 + length
                if control == 3:
                    return wire.elements_of(command)

    def echo(self):
        """C-ECHO; answers its status."""
        self._messages += 1
        command = wire.echo_command(self._messages)
        self._send(wire.pdu(wire.DATA, wire.pdv(1, 3, command)))
        return self._status()

    def store(self, uid, data_set, *, sop_class=wire.CT, number=3):
        """C-STORE in a presentation context; answers its status."""
        self._messages += 1
        pdus = wire.store_pdus(
            uid,
            data_set,
            message=self._messages,
            piece=self._piece,
            number=number,
            sop_class=sop_class,
        )
        self._send(b"".join(pdus))
        return self._status()

    def store_stream(self, uid, pieces, *, sop_class):
        """C-STORE of a data set that is never whole in memory."""
        self._messages += 1
        command = wire.store_command(uid, self._messages, sop_class)
        self._send(wire.pdu(wire.DATA, wire.pdv(3, 3, command)))
        for piece in pieces:
            for at in range(0, len(piece), self._piece):
                part = piece[at : at + self._piece]
                self._send(wire.pdu(wire.DATA, wire.pdv(3, 0, part)))
        self._send(wire.pdu(wire.DATA, wire.pdv(3, 2, b"")))
        return self._status()

    def _status(self):
        found = self.response()
        (answered,) = struct.unpack("<H", found[0x00000120])
        assert answered == self._messages & 0xFFFF, "the answer to another message"
        return struct.unpack("<H", found[0x00000900])[0]

    def release(self):
        """A-RELEASE; raises ``GoneError`` if it isn't answered."""
        self._send(wire.release_rq())
        kind, _ = self.read()
        self.close()
        if kind != wire.RELEASE_RP:
            raise GoneError(f"release answered by PDU {kind}")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()


def _piece(accept):
    """Bytes of a data set that fit in a PDU of the length the service takes."""
    at = 68  # version, reserved, AE titles, reserved
    while at < len(accept):
        kind, length = struct.unpack_from(">BxH", accept, at)
        if kind == 0x50:
            assert accept[at + 4] == 0x51
            (longest,) = struct.unpack_from(">I", accept, at + 8)
            return (longest or 131072) - 6
        at += 4 + length
    raise AssertionError("an A-ASSOCIATE-AC without a maximum length")
