"""A Store SCU as lean as can be, with an asynchronous operations window.

dcmtk's and pynetdicom's wait for each response; the window (PS3.7 D.3.3.3) lets the
next request go while earlier ones are made durable.
"""

import socket
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from bench.proxy.processes import BenchError

_CONTEXT = 1
_P_DATA, _RELEASE_RQ = 0x04, 0x05
_COMMAND_LAST, _DATA, _DATA_LAST = 0x03, 0x00, 0x02
_TIMEOUT_S = 60.0
_PDV_HEADER = 6
_MOST_PDU = 128 * 1024


@dataclass(frozen=True)
class Message:
    """A C-STORE request, ready to be sent.

    Attributes:
        uid: SOP Instance UID.
        data: the data set's bytes.
    """

    uid: str
    data: bytes


def read(file: Path) -> Message:
    """A CT slice in Explicit VR Little Endian as a message."""
    content = file.read_bytes()
    dataset = dcmread(file, stop_before_pixels=True)
    # PS3.10 7.1: 128 bytes, DICM, then (0002,0000) UL with the length of its group.
    (length,) = struct.unpack_from("<L", content, 140)
    return Message(str(dataset.SOPInstanceUID), content[144 + length :])


class Association:
    """An association for CT slices; one thread sends, another takes the responses.

    Args:
        port: on 127.0.0.1.
        called: AE title.
        window: operations that are asked for; 1 asks for none.

    Raises:
        BenchError: the peer did not accept it.
    """

    def __init__(self, port: int, called: str, *, window: int = 1) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_request(called, window))
        kind, body = self._pdu()
        if kind != A_ASSOCIATE_AC().pdu_type:
            raise BenchError(f"the association was not accepted: PDU type {kind}")
        accepted = A_ASSOCIATE_AC()
        accepted.decode(bytes([kind, 0]) + struct.pack(">L", len(body)) + body)
        answer = accepted.to_primitive()
        if answer.presentation_context_definition_results_list[0].result:
            raise BenchError("CT Image Storage was not accepted")
        offered = [
            item.maximum_number_operations_invoked
            for item in answer.user_information
            if isinstance(item, AsynchronousOperationsWindowNegotiation)
        ]
        # 0 is "no limit" (PS3.7 D.3.3.3.1).
        self.window = min(window, (offered[0] or window) if offered else 1)
        limit = answer.maximum_length_received or _MOST_PDU
        self._piece = min(limit, _MOST_PDU) - _PDV_HEADER

    def store(self, messages: Sequence[Message]) -> float:
        """Send all; the seconds from the first byte to the last response.

        Raises:
            BenchError: a response said anything but success.
        """
        if self.window == 1:
            return self._one_by_one(messages)
        room = threading.Semaphore(self.window)
        failed: list[str] = []

        def take() -> None:
            for _ in messages:
                try:
                    status = self._response()
                except (OSError, BenchError) as error:
                    failed.append(str(error))
                    room.release(len(messages))
                    return
                if status:
                    failed.append(f"status {status:04X}")
                room.release()

        taker = threading.Thread(target=take)
        began = time.monotonic()
        taker.start()
        for number, message in enumerate(messages):
            room.acquire()
            if failed:
                break
            self._send(number % 65535 + 1, message)
        taker.join()
        if failed:
            raise BenchError(f"the receiver answered: {failed[0]}")
        return time.monotonic() - began

    def _one_by_one(self, messages: Sequence[Message]) -> float:
        began = time.monotonic()
        for number, message in enumerate(messages):
            self._send(number % 65535 + 1, message)
            if status := self._response():
                raise BenchError(f"the receiver answered: status {status:04X}")
        return time.monotonic() - began

    def release(self) -> None:
        """End it in order."""
        self._socket.sendall(struct.pack(">BxL4x", _RELEASE_RQ, 4))
        self._pdu()
        self._socket.close()

    def _send(self, message_id: int, message: Message) -> None:
        command = _command(message_id, message.uid)
        parts = [_p_data(len(command), _COMMAND_LAST), command]
        view = memoryview(message.data)
        for start in range(0, len(view), self._piece):
            piece = view[start : start + self._piece]
            last = start + len(piece) == len(view)
            parts += [_p_data(len(piece), _DATA_LAST if last else _DATA), piece]
        sent = self._socket.sendmsg(parts)
        for part in parts:
            if sent < len(part):
                self._socket.sendall(part[sent:])
            sent = max(0, sent - len(part))

    def _response(self) -> int:
        """Status of the next response."""
        kind, body = self._pdu()
        if kind != _P_DATA:
            raise BenchError(f"PDU type {kind} instead of a response")
        at = _PDV_HEADER
        while at < len(body):
            group, element, length = struct.unpack_from("<HHL", body, at)
            at += 8
            if (group, element) == (0x0000, 0x0900):
                return int.from_bytes(body[at : at + length], "little")
            at += length
        raise BenchError("a response without a status")

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxL", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            piece = self._socket.recv(count - len(found))
            if not piece:
                raise BenchError("the receiver closed the connection")
            found += piece
        return bytes(found)


def _request(called: str, window: int) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title = "SENDER"
    primitive.called_ae_title = called
    context = build_context(CTImageStorage, ExplicitVRLittleEndian)
    context.context_id = _CONTEXT
    primitive.presentation_context_definition_list = [context]
    length = MaximumLengthNotification()
    length.maximum_length_received = _MOST_PDU
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = "1.2.826.0.1.3680043.9.3811.9.9.9"
    primitive.user_information = [length, implementation]
    if window != 1:
        operations = AsynchronousOperationsWindowNegotiation()
        operations.maximum_number_operations_invoked = window
        operations.maximum_number_operations_performed = 1
        primitive.user_information.append(operations)
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def _p_data(length: int, control: int) -> bytes:
    """Headers of a P-DATA-TF PDU with one PDV (PS3.8 9.3.5)."""
    pdv = length + 2
    return struct.pack(">BxLLBB", _P_DATA, pdv + 4, pdv, _CONTEXT, control)


def _command(message_id: int, uid: str) -> bytes:
    """The command set of a C-STORE-RQ (PS3.7 9.3.1.1), Implicit VR Little Endian."""
    elements = (
        (0x0002, _uid(CTImageStorage)),
        (0x0100, struct.pack("<H", 0x0001)),
        (0x0110, struct.pack("<H", message_id)),
        (0x0700, struct.pack("<H", 0)),
        (0x0800, struct.pack("<H", 1)),
        (0x1000, _uid(uid)),
    )
    body = b"".join(
        struct.pack("<HHL", 0, element, len(value)) + value
        for element, value in elements
    )
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _uid(value: str) -> bytes:
    encoded = value.encode()
    return encoded + b"\0" * (len(encoded) % 2)
