"""Who is measured: our proxy, nginx with the same bytes as files, AWS's sample."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.proxy.frames import DATASTORE, IMAGE_SET, USUAL, Mould, moulds
from bench.proxy.processes import BenchError, Server, serving
from bench.proxy.tokens import AUDIENCE, ISSUER, Issuer
from bench.proxy.wrk import Ask
from tests.support.ports import free_port

SAMPLE = "AWS's sample"
REGION = "eu-west-1"
_IMAGE_SET_PATH = f"/datastore/{DATASTORE}/imageSet/{IMAGE_SET}"
_LISTEN = Path(__file__).with_name("peer_listen.cjs")
_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
  client_body_temp_path {folder}; proxy_temp_path {folder}; uwsgi_temp_path {folder};
  fastcgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


@dataclass(frozen=True)
class Place:
    """What all scenarios share.

    Attributes:
        folder: for logs and files of this run.
        upstream: the stub.
        moulds: frames by kind.
        issuer: makes tokens.
        peer: folder of AWS's sample, installed; None if it isn't given.
        short: run the short version.
    """

    folder: Path
    upstream: Server
    moulds: dict[str, Mould]
    issuer: Issuer
    peer: Path | None
    short: bool


@contextmanager
def place(folder: Path, peer: Path | None, *, short: bool) -> Iterator[Place]:
    """The shared things, with the stub running."""
    issuer = Issuer()
    jwks = folder / "jwks.json"
    jwks.write_bytes(issuer.jwks())
    kinds = moulds(*"ab")
    port = free_port()
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "bench.proxy.upstream",
        str(port),
        "ab",
        jwks,
    ]
    root = Path(__file__).parents[2]
    log = folder / "upstream.log"
    with serving("upstream", command, port, log, env={"PYTHONPATH": str(root)}) as stub:
        yield Place(folder, stub, kinds, issuer, peer, short)


def get(
    frame_id: str, end_level: int | None = None, authorization: str | None = None
) -> Ask:
    """Our proxy's request for a frame, or its first levels."""
    query = "" if end_level is None else f"?endLevel={end_level}"
    path = f"{_IMAGE_SET_PATH}/imageFrame/{frame_id}{query}"
    return Ask(path, authorization=authorization)


def post(frame_id: str, end_level: int | None = None) -> Ask:
    """The sample's request, which ours takes as well; HealthImaging's own without."""
    query = "" if end_level is None else f"?startLevel=0&endLevel={end_level}"
    body = json.dumps({"imageFrameId": frame_id})
    return Ask(f"{_IMAGE_SET_PATH}/getImageFrame{query}", "POST", body=body)


@contextmanager
def ours(
    at: Place, name: str = "ours", *, tokens: bool = False, **settings: str | int
) -> Iterator[Server]:
    """Our proxy; ``settings`` are its own, in small letters."""
    port, health = free_port(), free_port()
    upstream = f"http://127.0.0.1:{at.upstream.port}"
    told: dict[str, str | int] = {
        "port": port,
        "health_port": health,
        "auth_mode": "none",
        "log_level": "WARNING",
        # AWS's quota is not what is measured.
        "upstream_calls_per_s": 100_000,
        **settings,
    }
    if tokens:
        told |= {
            "auth_mode": "oidc",
            "oidc_issuer": ISSUER,
            "oidc_audience": AUDIENCE,
            "jwks_url": f"{upstream}/jwks.json",
        }
    env = {f"TLM_PROXY_{key.upper()}": str(value) for key, value in told.items()} | {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": upstream,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
    }
    script = Path(sys.executable).with_name("isocenter-tlm-proxy")
    log = at.folder / f"{name.replace(' ', '-')}.log"
    ready = f"http://127.0.0.1:{health}/readyz"
    with serving(name, [script], port, log, env=env, ready=ready) as server:
        yield server


@contextmanager
def nginx(at: Place, files: dict[str, bytes]) -> Iterator[Server]:
    """Nginx with files: one process, sendfile, no access log.

    Raises:
        BenchError: it is not installed.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        raise BenchError("nginx is not installed (Debian: nginx-light)")
    folder = at.folder / "nginx"
    folder.mkdir(exist_ok=True)
    for name, body in files.items():
        (folder / name).write_bytes(body)
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port))
    command: list[str | Path] = [
        program,
        "-p",
        folder,
        "-e",
        folder / "error.log",
        "-c",
        config,
    ]
    with serving("nginx", command, port, folder / "nginx.log", env={}) as server:
        yield server


@contextmanager
def sample(at: Place) -> Iterator[Server | None]:
    """AWS's Node proxy, unmodified, without authentication.

    ``peer_listen.cjs`` moves its fixed port and lets it find the stub. None if it
    isn't given, or does not begin: then it is said why.
    """
    if at.peer is None:
        yield None
        return
    node = shutil.which("node")
    if node is None:
        print("  AWS's sample is left out: there is no node")
        yield None
        return
    port = free_port()
    env = {
        "AUTH_MODE": "null",
        "AHI_ENDPOINT": f"http://localhost:{at.upstream.port}",
        "AHI_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "NODE_ENV": "production",
        "DEFAULT_LOG_LEVEL": "error",
        "BENCH_PORT": str(port),
    }
    command: list[str | Path] = [node, "--require", _LISTEN, at.peer / "index.js"]
    with ExitStack() as stack:
        log = at.folder / "sample.log"
        try:
            found = stack.enter_context(serving(SAMPLE, command, port, log, env=env))
        except BenchError as error:
            print(f"  AWS's sample is left out: {error}")
            yield None
            return
        yield found


def usual(at: Place) -> Mould:
    """The usual frame."""
    return at.moulds[USUAL]
