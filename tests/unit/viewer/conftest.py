import json
import os
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from support.ports import free_port

VIEWER = Path(__file__).resolve().parents[3] / "services" / "viewer"
MODULES = Path("/usr/lib/nginx/modules")
BUNDLE = "/app.bundle.0f6159c501addfe9.js"


@dataclass
class TileProxy:
    """What nginx forwarded, by a server that answers in two pieces."""

    address: str
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    second_piece: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def tile_proxy():
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            proxy.seen.append((self.path, dict(self.headers)))
            self.send_response(200)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", "10")
            self.send_header("Cache-Control", "private, immutable")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(b"first")
            self.wfile.flush()
            proxy.second_piece.wait(5)
            self.wfile.write(b"later")

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy = TileProxy(f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield proxy
    proxy.second_piece.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def needs_nginx():
    programs = [name for name in ("nginx", "envsubst", "brotli") if not _found(name)]
    module = MODULES / "ngx_http_brotli_static_module.so"
    if programs or not module.exists():
        pytest.skip(f"no {', '.join(programs) or module.name}: make packages")


def _found(name: str) -> bool:
    return bool(shutil.which(name) or Path(f"/usr/sbin/{name}").exists())


@pytest.fixture(scope="session")
def site(tmp_path_factory, needs_nginx) -> Path:
    """Files of the viewer's kinds, compressed as build.sh does it."""
    root = tmp_path_factory.mktemp("site")
    text = "console.log('one line of many, all alike');\n" * 200
    for name in (
        "index.html",
        BUNDLE[1:],
        "app-config.js",
        "init-service-worker.js",
        "isocenter/extension.mjs",
        "app.bundle.css",
        "assets/icon.png",
        "0ddf166f7a343eda.wasm",
    ):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    subprocess.run([VIEWER / "compress.sh", root], check=True)
    return root


@dataclass
class Served:
    http: httpx.Client
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> str:
        """Ends the server; its whole output."""
        self.process.terminate()
        self.process.wait(10)
        return self.log.read_text()


@pytest.fixture(scope="module")
def serve(tmp_path_factory, site):
    """Starts serve.sh on loopback: (**environment) -> Served."""
    started: list[Served] = []
    tmp_path = tmp_path_factory.mktemp("serve")
    platform = tmp_path / "platform.json"
    platform.write_text(json.dumps({"stores": []}))

    def start(**more: str) -> Served:
        address = f"127.0.0.1:{free_port()}"
        log = tmp_path / f"log{len(started)}"
        environment = {
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "VIEWER_LISTEN": address,
            "VIEWER_ROOT": str(site),
            "VIEWER_PLATFORM": str(platform),
            "VIEWER_RUN": str(tmp_path / f"run{len(started)}"),
            **more,
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                [VIEWER / "serve.sh"],
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        client = httpx.Client(base_url=f"http://{address}", trust_env=False, timeout=10)
        served = Served(client, process, log)
        started.append(served)
        for _ in range(100):
            if process.poll() is not None:
                break
            try:
                client.get("/healthz")
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        return served

    yield start
    for served in started:
        served.stop()
        served.http.close()
