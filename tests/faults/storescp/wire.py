"""PDUs and DIMSE messages as bytes, by hand: the tests must be able to say what is
wrong, so nothing of the product or of a DICOM library is used here.

PS3.8 9.3 (PDUs), PS3.7 9.3, 6.3.1 and Annex E (command sets).
"""

import random
import struct

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
COMMITMENT = "1.2.840.10008.1.20.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
APPLICATION = "1.2.840.10008.3.1.1.1"
RQ, AC, RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = 1, 2, 3, 4, 5, 6, 7
C_STORE, C_ECHO, N_ACTION = 0x0001, 0x0030, 0x0130
NO_DATA_SET = 0x0101
_LONG = frozenset({"OB", "OW", "OF", "SQ", "UN", "UT"})


def pdu(kind, body, length=None):
    return struct.pack(">BxI", kind, len(body) if length is None else length) + body


def item(kind, body, length=None):
    return struct.pack(">BxH", kind, len(body) if length is None else length) + body


def context(number, abstract, *transfers):
    body = struct.pack("BBBB", number, 0, 0, 0) + item(0x30, abstract.encode())
    return item(0x20, body + b"".join(item(0x40, t.encode()) for t in transfers))


def user_information(max_pdu=16384, operations=None):
    body = item(0x51, struct.pack(">I", max_pdu)) + item(0x52, b"1.2.3.4.5")
    if operations is not None:
        body += item(0x53, struct.pack(">HH", operations, 1))
    return item(0x50, body)


CONTEXTS = (
    context(1, VERIFICATION, IMPLICIT),
    context(3, CT, EXPLICIT),
    context(5, CT, IMPLICIT),
    context(7, COMMITMENT, IMPLICIT),
)


def associate_rq(
    *, called="S3SCP", calling="SENDER", contexts=CONTEXTS, operations=None
):
    return pdu(
        RQ,
        struct.pack(">H2x", 1)
        + called.encode().ljust(16)
        + calling.encode().ljust(16)
        + bytes(32)
        + item(0x10, APPLICATION.encode())
        + b"".join(contexts)
        + user_information(operations=operations),
    )


def release_rq():
    return pdu(RELEASE_RQ, bytes(4))


def abort():
    return pdu(ABORT, bytes(4))


def pdv(number, control, body, length=None):
    length = len(body) + 2 if length is None else length
    return struct.pack(">IBB", length, number, control) + body


def element(tag, value):
    """One element of a command set."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def us(value):
    return struct.pack("<H", value)


def ui(text):
    return text.encode() + b"\0" * (len(text) % 2)


def command_set(*elements):
    body = b"".join(elements)
    return element(0x00000000, struct.pack("<I", len(body))) + body


def echo_command(message=1):
    return command_set(
        element(0x00000002, ui(VERIFICATION)),
        element(0x00000100, us(C_ECHO)),
        element(0x00000110, us(message)),
        element(0x00000800, us(NO_DATA_SET)),
    )


def store_command(uid, message=1, sop_class=CT):
    return command_set(
        element(0x00000002, ui(sop_class)),
        element(0x00000100, us(C_STORE)),
        element(0x00000110, us(message)),
        element(0x00000700, us(0)),
        element(0x00000800, us(1)),
        element(0x00001000, ui(uid)),
    )


def store_pdus(uid, data_set, *, message=1, number=3, piece=16378, sop_class=CT):
    """A C-STORE request, its data set in P-DATA-TF PDUs of ``piece`` bytes."""
    yield pdu(DATA, pdv(number, 3, store_command(uid, message, sop_class)))
    for at in range(0, max(1, len(data_set)), piece):
        part = data_set[at : at + piece]
        last = at + piece >= len(data_set)
        yield pdu(DATA, pdv(number, 2 * last, part))


def explicit(tag, vr, value):
    """One element of a data set, Explicit VR Little Endian."""
    if len(value) % 2:
        value += b"\0" if vr in {"UI", "OB"} else b" "
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in _LONG:
        return head + struct.pack("<2xI", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def implicit(tag, _vr, value):
    """The same in Implicit VR Little Endian."""
    return element(tag, value + b"\0" * (len(value) % 2))


def instance_elements(uid, *, study="1.2.3.4", series="1.2.3.4.5", sop_class=CT):
    """The elements of an instance, but for its pixels: (tag, VR, value)."""
    return [
        (0x00080005, "CS", b"ISO_IR 100"),
        (0x00080016, "UI", sop_class.encode()),
        (0x00080018, "UI", uid.encode()),
        (0x00080060, "CS", b"CT"),
        (0x00100010, "PN", b"Doe^Jane"),
        (0x00100020, "LO", b"secret-4711"),
        (0x0020000D, "UI", study.encode()),
        (0x0020000E, "UI", series.encode()),
        (0x00280010, "US", us(16)),
    ]


def data_set(uid, size, **more):
    """An instance of about ``size`` bytes whose pixels follow from its UID."""
    head = b"".join(explicit(*each) for each in instance_elements(uid, **more))
    pixels = random.Random(uid).randbytes(max(2, size - len(head)) & ~1)
    return head + explicit(0x7FE00010, "OW", pixels)


def elements_of(command):
    """Tag -> value of a command set that came back."""
    found, at = {}, 0
    while at < len(command):
        group, number, length = struct.unpack_from("<HHI", command, at)
        found[group << 16 | number] = command[at + 8 : at + 8 + length]
        assert at + 8 + length <= len(command), "a response whose element is cut"
        at += 8 + length
    return found


def uid_of(number):
    """A UID of 45 characters that only this number has."""
    return f"1.2.826.0.1.3680043.8.498.1{number:018d}"


def data_set_of(p10):
    """The data set's bytes of a P10 file (PS3.10 7.1)."""
    assert p10[:132] == bytes(128) + b"DICM"
    assert p10[132:140] == b"\x02\0\0\0UL\x04\0"
    (length,) = struct.unpack_from("<I", p10, 140)
    return p10[144 + length :]
