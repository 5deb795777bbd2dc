"""Several workers: HealthImaging is asked once for a frame, and one may die."""

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.instances import eventually

FRAMES = "0123456789ab"
SIZE = 100_000
WAIT_S = 60


@contextmanager
def frames_served():
    """GetImageFrame of FRAMES alone; gives its URL and the ids it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            length = int(self.headers["Content-Length"])
            frame_id = json.loads(self.rfile.read(length))["imageFrameId"]
            asked.append(frame_id)
            there = frame_id[0] in FRAMES
            body = frame_id[:1].encode() * SIZE if there else b"{}"
            self.send_response(200 if there else 404)
            if there:
                self.send_header("Content-Type", "image/jpeg")
            else:
                self.send_header("x-amzn-ErrorType", "ResourceNotFoundException")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            serving.join()


def workers_of(process):
    """Pids of the workers: the children that are not multiprocessing's tracker."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [
        int(pid)
        for pid in path.read_text().split()
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def by_worker(proxy, name, **labels):
    """Values of a metric by worker."""
    text = httpx.get(f"{proxy.base}/metrics", timeout=10).text
    return {
        sample.labels["worker"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"isocenter_tlm_proxy_{name}"
        and labels.items() <= sample.labels.items()
    }


def read(proxy, letter):
    """One frame on a connection of its own, so that any worker may get it."""
    path = f"/datastore/{'d' * 32}/imageSet/{'5' * 32}/imageFrame/{letter * 32}"
    answer = httpx.get(proxy.base + path, timeout=30)
    return answer.status_code, answer.content


def read_all(proxy, letters):
    with ThreadPoolExecutor(12) as pool:
        return list(pool.map(lambda letter: read(proxy, letter), letters))


def good(answers):
    return all(status == 200 and len(body) == SIZE for status, body in answers)


@pytest.mark.timeout(180)
def test_workers_ask_once_for_a_frame_and_outlive_one_another(start_proxy, tmp_path):
    with frames_served() as (url, asked):
        with start_proxy(
            AWS_ENDPOINT_URL_MEDICAL_IMAGING=url,
            TLM_PROXY_WORKERS="2",
            TLM_PROXY_WORKERS_FOLDER=str(tmp_path),
        ) as proxy:

            def both_answer():
                return len(by_worker(proxy, "cache_bytes")) == 2

            eventually(both_answer, WAIT_S)
            assert good(read_all(proxy, FRAMES * 6))
            # Some went to either worker; HealthImaging was asked once each.
            assert set(by_worker(proxy, "requests_total")) == {"0", "1"}
            taken = by_worker(proxy, "worker_calls_total", outcome="frame")
            assert sum(taken.values()) > 0
            assert len(asked) == len(FRAMES)
            # A failure crosses from worker to worker as it is.
            assert {status for status, _ in read_all(proxy, "z" * 12)} == {404}

            lost, kept = workers_of(proxy.process)
            os.kill(lost, signal.SIGKILL)
            assert good(read_all(proxy, FRAMES * 2))
            eventually(both_answer, WAIT_S)
            now = workers_of(proxy.process)
            assert kept in now
            assert lost not in now
        assert not list(tmp_path.iterdir())
