"""kill -9 of the real process: what was acknowledged reaches a manifest.

``SOAK=50 pytest tests/faults/storescp`` runs more rounds.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from pynetdicom import AE
from support.instances import ct, eventually
from support.ports import free_port

ROUNDS = int(os.environ.get("SOAK", "5"))
SENDERS = 3
DATASTORE = "0123456789abcdef0123456789abcdef"


class _S3(BaseHTTPRequestHandler):
    """PUT of an object, nothing else; answers 503 while ``away``."""

    objects: ClassVar = {}
    away = True
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        if self.headers.get("Expect") == "100-continue":
            pass  # http.server has answered it
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.away:
            self.objects[self.path.partition("/inbox/")[2]] = body
        self.send_response(503 if self.away else 200)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args):
        pass


@pytest.fixture
def s3_server():
    handler = type("S3", (_S3,), {"objects": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server, handler
    server.shutdown()
    server.server_close()
    thread.join()


# Starts real processes that have their imports done already.
_STARTER = """
import os, sys
from isocenter.storescp.main import main
for _ in sys.stdin:
    child = os.fork()
    if not child:
        os._exit(main())
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class _Scp:
    """The process under test; one at a time."""

    def __init__(self, environment, port, log):
        self._port = port
        self._process = None
        self._starter = subprocess.Popen(
            [sys.executable, "-c", _STARTER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def start(self):
        print("start", file=self._starter.stdin, flush=True)
        self._process = int(self._starter.stdout.readline())
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                assert time.monotonic() < deadline, "does not listen"
                time.sleep(0.02)
            else:
                return

    def end(self, number):
        ended, self._process = self._process, None
        with suppress(ProcessLookupError):
            os.kill(ended, number)
        return int(self._starter.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_failure):
        if self._process:
            self.end(signal.SIGKILL)
        self._starter.stdin.close()
        self._starter.wait(20)
        self._starter.stdout.close()


def _send(port, make, acknowledged, stop):
    """Send until the association breaks; note what was acknowledged."""
    ae = AE("SCU")
    ae.acse_timeout = ae.dimse_timeout = ae.connection_timeout = 2
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
    assoc = ae.associate("127.0.0.1", port, ae_title="S3SCP")
    while assoc.is_established and not stop.is_set():
        dataset = make()
        try:
            answer = assoc.send_c_store(dataset)
        except (RuntimeError, ValueError):
            break
        if "Status" in answer and answer.Status == 0x0000:
            acknowledged.append(str(dataset.SOPInstanceUID))
    assoc.abort()


@pytest.mark.timeout(60 + 10 * ROUNDS)
def test_no_acknowledged_instance_is_lost(s3_server, tmp_path):
    server, s3 = s3_server
    port = free_port()
    environment = os.environ | {
        "STORESCP_SCP_PORT": str(port),
        "STORESCP_LISTEN_ADDRESS": "127.0.0.1",
        "STORESCP_HEALTH_PORT": str(free_port()),
        "STORESCP_BUCKET": "inbox",
        "STORESCP_DATASTORE_ID": DATASTORE,
        "STORESCP_SPOOL_DIR": str(tmp_path / "spool"),
        "STORESCP_SPOOL_MIN_FREE_BYTES": "0",
        "STORESCP_ALLOWED_PEERS": '[{"aeTitle": "SCU"}]',
        "STORESCP_BATCH_MAX_INSTANCES": "7",
        "STORESCP_BATCH_QUIET_S": "0.2",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_address[1]}",
    }
    chance = random.Random(4711)
    acknowledged = []
    spool = tmp_path / "spool"
    with (tmp_path / "log").open("w") as log, _Scp(environment, port, log) as scp:
        for number in range(ROUNDS):
            # S3 is there in every second round, so that kills meet uploads, too.
            s3.away = number % 2 == 0
            scp.start()
            stop = threading.Event()
            with ThreadPoolExecutor(SENDERS) as senders:
                for _ in range(SENDERS):
                    senders.submit(_send, port, ct, acknowledged, stop)
                time.sleep(chance.uniform(0.2, 1.0))
                assert scp.end(signal.SIGKILL) == -signal.SIGKILL
                stop.set()
        s3.away = False
        scp.start()
        eventually(
            lambda: not list((spool / "w0").glob("b*")),
            30,
        )
        assert scp.end(signal.SIGTERM) == 0
    manifests = [
        json.loads(body)
        for key, body in s3.objects.items()
        if key.startswith("batches/")
    ]
    listed = {i["sopInstanceUid"]: i for m in manifests for i in m["instances"]}
    assert len(acknowledged) > ROUNDS
    assert set(acknowledged) <= set(listed)
    for instance in listed.values():
        assert len(s3.objects[instance["key"]]) == instance["bytes"]
    assert not list((spool / "w0" / "incoming").glob("*.part"))
