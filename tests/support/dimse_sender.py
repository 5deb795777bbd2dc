"""A Store SCU that says byte for byte what a test wants (PS3.7, PS3.8).

Written without the product's and pynetdicom's codecs, so that a mistake in one of
them is not made twice. One socket, no threads: requests may be sent ahead of their
responses (asynchronous operations), broken off, or be nonsense.
"""

import socket
import struct
from dataclasses import dataclass

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
COMMITMENT = "1.2.840.10008.1.20.1"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
NO_DATA_SET = 0x0101


class RefusedError(Exception):
    """The association was rejected or aborted; ``pdu`` says how."""

    def __init__(self, pdu):
        super().__init__(f"PDU type {pdu[0]}: {pdu[6:].hex()}" if pdu else "closed")
        self.pdu = pdu


@dataclass(frozen=True)
class Message:
    """A message of the SCP: its command set's values by element number."""

    context_id: int
    command: dict
    data: bytes = b""

    @property
    def status(self):
        return self.us(0x0900)

    @property
    def responded_to(self):
        return self.us(0x0120)

    def us(self, element):
        return struct.unpack("<H", self.command[element])[0]


def item(kind, body):
    return struct.pack(">BxH", kind, len(body)) + body


def associate_rq(contexts, *, calling="SENDER", called="S3SCP", max_pdu=131072,
                 operations=None, roles=()):  # fmt: skip
    """An A-ASSOCIATE-RQ: contexts are (abstract syntax, transfer syntaxes…)."""
    body = struct.pack(">HH16s16s32x", 1, 0, *(
        title.ljust(16).encode() for title in (called, calling)))  # fmt: skip
    body += item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, (abstract, *transfers) in enumerate(contexts):
        syntaxes = item(0x30, abstract.encode())
        syntaxes += b"".join(item(0x40, uid.encode()) for uid in transfers)
        body += item(0x20, bytes([2 * number + 1, 0, 0, 0]) + syntaxes)
    user = item(0x51, struct.pack(">L", max_pdu)) + item(0x52, b"1.2.3.4")
    if operations:
        user += item(0x53, struct.pack(">HH", *operations))
    for uid, scu, scp in roles:
        name = uid.encode()
        user += item(0x54, struct.pack(">H", len(name)) + name + bytes([scu, scp]))
    body += item(0x50, user)
    return struct.pack(">BxL", 1, len(body)) + body


def command_set(elements):
    """Encoded elements: text values are UIDs, numbers US, bytes as they are."""
    body = b""
    for element, given in sorted(elements.items()):
        value = given
        if isinstance(given, int):
            value = struct.pack("<H", given)
        elif isinstance(given, str):
            value = given.encode() + b"\0" * (len(given) % 2)
        body += struct.pack("<HHL", 0, element, len(value)) + value
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def pdv(context_id, control, data):
    return struct.pack(">LBB", len(data) + 2, context_id, control) + data


def p_data(*pdvs):
    body = b"".join(pdvs)
    return struct.pack(">BxL", 4, len(body)) + body


def message_pdus(context_id, command, data=None, *, max_pdu=131072):
    """All PDUs of one message, as one piece of bytes."""
    pdus = [p_data(pdv(context_id, 3, command_set(command)))]
    if data is not None:
        step = max_pdu - 6
        for start in range(0, len(data) or 1, step):
            piece = data[start : start + step]
            last = 2 if start + step >= len(data) else 0
            pdus.append(p_data(pdv(context_id, last, piece)))
    return b"".join(pdus)


def store_command(uid, message_id=1, *, sop_class=CT, **changes):
    return {
        0x0002: sop_class,
        0x0100: 0x0001,
        0x0110: message_id,
        0x0700: 0,
        0x0800: 1,
        0x1000: uid,
    } | changes


RELEASE_RQ = struct.pack(">BxLL", 5, 4, 0)
ABORT = struct.pack(">BxLL", 7, 4, 0)


class DimseSender:
    """One connection; also a context manager that closes it."""

    def __init__(self, sock):
        self.sock = sock
        self.max_pdu = 131072
        self.window = None
        self.accepted = {}

    @classmethod
    def connect(cls, port, *, host="127.0.0.1", tls=None, timeout=10.0):
        sock = socket.create_connection((host, port), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=host)
        return cls(sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def associate(self, contexts=((CT, EXPLICIT), (VERIFICATION, IMPLICIT)), **more):
        """Ask for an association; raises RefusedError."""
        self.sock.sendall(associate_rq(contexts, **more))
        pdu = self.read_pdu()
        if not pdu or pdu[0] != 2:
            raise RefusedError(pdu)
        self._read_accept(pdu)
        return self

    def _read_accept(self, pdu):
        at = 74
        while at < len(pdu):
            kind, length = struct.unpack_from(">BxH", pdu, at)
            body = pdu[at + 4 : at + 4 + length]
            if kind == 0x21:
                self.accepted[body[0]] = body[2] == 0 and body[8:].decode()
            elif kind == 0x50:
                self._read_user(body)
            at += 4 + length

    def _read_user(self, body):
        at = 0
        while at < len(body):
            kind, length = struct.unpack_from(">BxH", body, at)
            if kind == 0x51:
                (self.max_pdu,) = struct.unpack_from(">L", body, at + 4)
            elif kind == 0x53:
                self.window = struct.unpack_from(">HH", body, at + 4)
            at += 4 + length

    def send(self, content):
        self.sock.sendall(content)

    def send_store(self, uid, data, message_id=1, *, context_id=1, **changes):
        """A whole C-STORE request; its response is read by ``read``."""
        command = store_command(uid, message_id, **changes)
        limit = min(self.max_pdu or 131072, 131072)
        self.send(message_pdus(context_id, command, data, max_pdu=limit))

    def store(self, uid, data, message_id=1, **more):
        """Send an instance and answer the response's status."""
        self.send_store(uid, data, message_id, **more)
        return self.read().status

    def echo(self, context_id=3, message_id=77):
        command = {0x0002: VERIFICATION, 0x0100: 0x30, 0x0110: message_id}
        self.send(message_pdus(context_id, command | {0x0800: NO_DATA_SET}))
        return self.read().status

    def read_pdu(self):
        """The next PDU with its header; empty if the peer closed."""
        header = self._exactly(6)
        if len(header) < 6:
            return b""
        (length,) = struct.unpack_from(">L", header, 2)
        return header + self._exactly(length)

    def _exactly(self, count):
        content = b""
        while len(content) < count:
            piece = self.sock.recv(count - len(content))
            if not piece:
                break
            content += piece
        return content

    def read(self):
        """The next message; raises RefusedError if another PDU comes."""
        command, data, context_id = b"", b"", 0
        while True:
            pdu = self.read_pdu()
            if not pdu or pdu[0] != 4:
                raise RefusedError(pdu)
            at = 6
            while at < len(pdu):
                length, context_id, control = struct.unpack_from(">LBB", pdu, at)
                piece = pdu[at + 6 : at + 4 + length]
                at += 4 + length
                if control & 1:
                    command += piece
                else:
                    data += piece
                if control & 2:
                    values = _values(command)
                    expected = values[0x0800] != struct.pack("<H", NO_DATA_SET)
                    if not control & 1 or not expected:
                        return Message(context_id, values, data)

    def release(self):
        """Release; answers whether the SCP agreed."""
        self.send(RELEASE_RQ)
        return self.read_pdu()[:1] == b"\x06"

    def abort(self):
        self.send(ABORT)


def _values(encoded):
    found, at = {}, 0
    while at < len(encoded):
        _, element, length = struct.unpack_from("<HHL", encoded, at)
        found[element] = encoded[at + 8 : at + 8 + length]
        at += 8 + length
    return found
