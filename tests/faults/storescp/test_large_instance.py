"""An instance of gigabytes: 2 GiB with ``SOAK=100``, 256 MiB without. The memory it
takes is that of a small one, and what is in S3 is what was sent."""

import hashlib
import itertools
import json
import random
import struct

import pytest
from faults.storescp import wire
from faults.storescp.peer import Peer
from faults.storescp.progress import amount, tell
from faults.storescp.service import Service
from support.instances import eventually
from support.s3_sink import S3Sink

SIZE = amount(256 << 20, 2 << 30)
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.2.1"
ALLOWED = 64 << 20
"""Bytes of memory beside the small instance's: a part on its way to S3 is 16 MiB."""
PART = 16 << 20
CONTEXTS = (
    wire.context(1, wire.VERIFICATION, wire.IMPLICIT),
    wire.context(3, MULTI_FRAME, wire.EXPLICIT),
)


def pieces(uid, pixels):
    """A multi-frame instance; ``pixels`` bytes of them, a multiple of 1 MiB."""
    frame = random.Random(uid).randbytes(1 << 20)
    head = wire.instance_elements(uid, sop_class=MULTI_FRAME)
    head.append((0x00280008, "IS", str(pixels >> 20).encode()))
    yield b"".join(wire.explicit(*each) for each in sorted(head))
    yield struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OW", pixels)
    for number in range(pixels >> 20):
        yield number.to_bytes(8, "little") + frame[8:]


def send(service, uid, pixels):
    """Send it; answers the size of its data set."""
    size = 0

    def passing():
        nonlocal size
        for piece in pieces(uid, pixels):
            size += len(piece)
            yield piece

    with Peer(service.port, contexts=CONTEXTS, timeout=120) as peer:
        assert peer.store_stream(uid, passing(), sop_class=MULTI_FRAME) == 0
        peer.release()
    return size


def in_s3(s3, uid):
    """Name, size and SHA-256 of the instance's object by its manifest, and the SHA-256
    that S3 has; None until there is a manifest."""
    objects = s3.objects()
    for name in objects:
        if "/batches/" in f"/{name}":
            for each in json.loads(s3.get(name))["instances"]:
                if each["sopInstanceUid"] == uid:
                    found = f"inbox/{each['key']}"
                    size, hashed = objects[found]
                    assert size == each["bytes"]
                    return found, size, each["sha256"], hashed
    return None


def digests(header, rest):
    """SHA-256 of a file, and what the sink makes of its parts: that of theirs."""
    whole, parts, part = hashlib.sha256(), [], bytearray()
    for piece in itertools.chain([header], rest):
        whole.update(piece)
        part += piece
        while len(part) >= PART:
            parts.append(hashlib.sha256(part[:PART]).hexdigest())
            del part[:PART]
    parts.append(hashlib.sha256(part).hexdigest())
    return whole.hexdigest(), hashlib.sha256("".join(parts).encode()).hexdigest()


@pytest.mark.timeout(amount(180, 1800))
def test_memory_does_not_grow_with_an_instance(tmp_path):
    small, large = wire.uid_of(1), wire.uid_of(2)
    with (
        S3Sink(keep=4 << 20) as s3,
        Service(tmp_path, s3, batch_quiet_s=0.5) as service,
    ):
        send(service, small, 1 << 20)
        name, *_ = eventually(lambda: in_s3(s3, small), 20)
        header = s3.get(name)
        header = header[: -len(wire.data_set_of(header))]
        service.forget_peak()
        before = service.rss()
        size = send(service, large, SIZE)
        received = service.peak() - before
        _, stored, sha256, hashed = eventually(
            lambda: in_s3(s3, large), amount(60, 300)
        )
        uploaded = service.peak() - before
        tell(
            f"an instance of {SIZE >> 20} MiB: peak memory {received / 2**20:.1f} MiB"
            f" over the {before >> 20} MiB of before while it came,"
            f" {uploaded / 2**20:.1f} MiB with its upload"
        )
        assert stored == len(header) + size
        header = header.replace(small.encode(), large.encode())
        whole, parts = digests(header, pieces(large, SIZE))
        assert sha256 == whole
        assert hashed == parts
        assert service.stop() == 0
    assert received < 32 << 20
    assert uploaded < ALLOWED
