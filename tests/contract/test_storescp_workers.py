"""``isocenter-storescp`` as several processes behind one port."""

import os
import re
import signal
import threading
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from pynetdicom.dsutils import encode
from support.dimse_sender import DimseSender, RefusedError
from support.instances import ct, eventually


@pytest.fixture
def together(serving, ports, bucket, tmp_path):
    """A Store SCP of two workers; answers its process, its port and its metrics."""
    port, health = ports(2)
    with serving(
        "isocenter-storescp",
        ready=f"http://127.0.0.1:{health}/readyz",
        STORESCP_WORKERS="2",
        STORESCP_SCP_PORT=str(port),
        STORESCP_LISTEN_ADDRESS="127.0.0.1",
        STORESCP_HEALTH_PORT=str(health),
        STORESCP_BUCKET=bucket,
        STORESCP_DATASTORE_ID="6" * 32,
        STORESCP_ALLOWED_PEERS='["CT1", "CT2"]',
        STORESCP_MAXIMUM_ASSOCIATIONS_PER_PEER="6",
        STORESCP_SPOOL_DIR=str(tmp_path / "spool"),
        STORESCP_SPOOL_MIN_FREE_BYTES="0",
        STORESCP_BATCH_QUIET_S="1",
    ) as process:

        def metrics():
            url = f"http://127.0.0.1:{health}/metrics"
            with urllib.request.urlopen(url) as answer:
                return answer.read().decode()

        eventually(lambda: len(workers_of(process.pid)) == 2, 20)
        # A worker tells its metrics a moment before it takes associations.
        eventually(lambda: min(shares(port, metrics, 4)) >= 1, 30)
        yield process, port, metrics


def shares(port, metrics, count):
    """How many of some associations, opened one after the other, each worker got."""

    def active():
        return list(counted(metrics(), "associations_active").values())

    with ExitStack() as stack:
        opened = [stack.enter_context(associate(port)) for _ in range(count)]
        eventually(lambda: sum(active()) == count, 20)
        found = active()
        for each in opened:
            each.release()
    eventually(lambda: sum(active()) == 0, 20)
    return found if len(found) > 1 else [0]


def workers_of(parent):
    """Process ids of the workers."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(child) for child in children.split()]


def counted(text, name, more=""):
    """A metric's values, by worker."""
    found = re.findall(
        rf'^isocenter_storescp_{name}{{{more}worker="(\d)"}} (\S+)$', text, re.MULTILINE
    )
    return {int(worker): float(value) for worker, value in found}


def instance():
    """A SOP Instance UID and a data set."""
    dataset = ct()
    uid = str(dataset.SOPInstanceUID)
    return uid, encode(dataset, False, True)


def associate(port, calling="CT1"):
    sender = DimseSender.connect(port, timeout=20.0)
    try:
        sender.associate(calling=calling)
    except BaseException:
        sender.sock.close()
        raise
    return sender


def send(port, acknowledged, stop):
    """Associations one after the other, until told to stop."""
    while not stop.is_set():
        with suppress(OSError, EOFError, RefusedError), associate(port) as sender:
            while not stop.is_set():
                uid, data = instance()
                if sender.store(uid, data) == 0x0000:
                    acknowledged.append(uid)
            sender.release()


@pytest.fixture
def senders(together):
    """Two modalities that send until ``stop`` is set; what was acknowledged."""
    _, port, _ = together
    acknowledged, stop = [], threading.Event()
    threads = [
        threading.Thread(target=send, args=(port, acknowledged, stop)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    yield acknowledged, stop
    stop.set()
    for thread in threads:
        thread.join(60)


def test_associations_go_to_who_has_fewer(together):
    _, port, metrics = together
    # One of a busy machine's workers may be late, but not each time.
    eventually(lambda: shares(port, metrics, 6) == [3, 3], 30)


def test_the_limit_of_a_peer_is_of_all_workers(together):
    process, port, metrics = together
    opened, refused = [], []

    def one():
        try:
            opened.append(associate(port))
        except RefusedError:
            refused.append(True)

    def all_at_once(count):
        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with ExitStack() as stack:
        all_at_once(12)
        assert len(opened) + len(refused) == 12
        # Two workers may both give way where one place was left.
        while len(opened) < 6:
            one()
        for sender in opened:
            stack.enter_context(sender)
        assert len(opened) == 6
        eventually(lambda: sum(counted(metrics(), "associations_active").values()) == 6)
        had = counted(metrics(), "associations_active")
        with pytest.raises(RefusedError):
            associate(port)
        with associate(port, "CT2") as other:
            other.release()
        eventually(lambda: sum(counted(metrics(), "associations_active").values()) == 6)

        # What a killed worker had is free again, and no more than that.
        busiest = max(had, key=had.__getitem__)
        os.kill(workers_of(process.pid)[busiest], signal.SIGKILL)

        def again():
            return len(counted(metrics(), "associations_active")) == 2

        eventually(again, 20)
        left = int(sum(counted(metrics(), "associations_active").values()))
        assert left == 6 - had[busiest]
        for _ in range(6 - left):
            stack.enter_context(associate(port))
        with pytest.raises(RefusedError):
            associate(port)


def test_a_killed_worker_costs_nothing_that_was_acknowledged(
    together, senders, s3, bucket, wait_for
):
    process, _, metrics = together
    acknowledged, stop = senders
    eventually(lambda: len(acknowledged) > 10, 20)
    before = workers_of(process.pid)
    os.kill(before[0], signal.SIGKILL)

    def replaced():
        now = workers_of(process.pid)
        return len(now) == 2 and before[0] not in now

    eventually(replaced, 20)
    so_far = len(acknowledged)
    eventually(lambda: len(acknowledged) > so_far + 10, 20)
    eventually(lambda: len(counted(metrics(), "tasks_waiting")) == 2, 20)
    stop.set()

    def arrived():
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix="DICOM/"
        )
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        uids = {key.rpartition("/")[2].removesuffix(".dcm") for key in keys}
        return set(acknowledged) <= uids

    wait_for(arrived)


def test_workers_end_with_their_parent(together):
    process, port, _ = together
    workers = workers_of(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait(10)

    def gone():
        return not any(Path(f"/proc/{worker}").exists() for worker in workers)

    eventually(gone, 20)
    with pytest.raises(ConnectionRefusedError):
        associate(port)


def test_sigterm_ends_all_in_order(together):
    process, port, _ = together
    with associate(port) as sender:
        assert sender.store(*instance()) == 0x0000
        sender.release()
    process.terminate()
    assert process.wait(30) == 0
