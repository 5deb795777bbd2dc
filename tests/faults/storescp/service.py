"""The Store SCP as the real process, and what can be seen of it from outside."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from support.instances import eventually

DATASTORE = "0123456789abcdef0123456789abcdef"
_EVERY_PEER = '[{"aeTitle": "*"}]'
_WATCHED = str(Path(__file__).with_name("watched.py"))


def listening_port():
    """A port to listen on that no outgoing connection can take in the meantime: the
    attackers open thousands of them."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port


class Service:
    """One Store SCP with a spool, a log and a folder it must not write to.

    Args:
        folder: of this service, empty.
        s3: an ``S3Sink``.
        watched: whether writes outside the spool are noted (one process only).
        spool: another place for the spool.
        settings: ``STORESCP_…`` by their names in lower case.
    """

    def __init__(self, folder, s3, *, watched=False, spool=None, **settings):
        self.folder = folder
        self.spool = spool or folder / "spool"
        self.port = listening_port()
        self.health_port = listening_port()
        self.log = folder / "log"
        self._elsewhere = folder / "elsewhere"
        self._elsewhere.mkdir(parents=True)
        self._notes = folder / "writes-outside"
        self._watched = watched
        values = {
            "scp_port": self.port,
            "listen_address": "127.0.0.1",
            "health_port": self.health_port,
            "bucket": "inbox",
            "datastore_id": DATASTORE,
            "spool_dir": self.spool,
            "spool_min_free_bytes": 0,
            "allowed_peers": _EVERY_PEER,
            "batch_quiet_s": 1.0,
        } | settings
        self.environment = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "PYTHONPATH")
            if name in os.environ
        }
        self.environment |= s3.environment()
        self.environment |= {
            "HOME": str(self._elsewhere),
            "TMPDIR": str(self._elsewhere),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.environment |= {
            f"STORESCP_{name.upper()}": str(value) for name, value in values.items()
        }
        self.process = None

    def start(self):
        """Start it, and wait until it is ready."""
        program = ["-m", "isocenter.storescp"]
        if self._watched:
            program = [_WATCHED, str(self.spool.resolve()), str(self._notes)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program],
                env=self.environment,
                cwd=self._elsewhere,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self._started, 30)
        return self

    def _started(self):
        code = self.process.poll()
        assert code is None, f"ended with {code}:\n{self.log.read_text()[-2000:]}"
        return self.ask("/readyz") == 200

    def ask(self, path):
        """HTTP status of the health server, 0 if there is no answer."""
        url = f"http://127.0.0.1:{self.health_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0

    def stop(self, timeout=60):
        """SIGTERM; answers the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def pids(self):
        """The process and all that descend from it."""
        found, at = [self.process.pid], 0
        while at < len(found):
            for task in Path(f"/proc/{found[at]}/task").glob("*/children"):
                try:
                    found += map(int, task.read_text().split())
                except OSError:
                    continue
            at += 1
        return found

    def kill_one(self, chance):
        """SIGKILL to a worker process, if one runs; answers whether one did."""
        workers = self.pids()[1:]
        if workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
        return bool(workers)

    def _sum(self, name):
        return sum(_status(pid, name) for pid in self.pids())

    def rss(self):
        """Resident bytes now, of all processes."""
        return self._sum("VmRSS") * 1024

    def peak(self):
        """The most resident bytes there were, of all processes."""
        return self._sum("VmHWM") * 1024

    def forget_peak(self):
        """Let ``peak`` begin anew."""
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def cpu(self):
        """CPU seconds so far, of all processes that run now."""
        return sum(_cpu(pid) for pid in self.pids())

    def threads(self):
        return self._sum("Threads")

    def descriptors(self):
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self.pids())

    def lines(self):
        """The log."""
        for line in self.log.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                yield {"level": "CRITICAL", "message": line}

    def unexpected(self, *allowed):
        """Lines that speak of an error of ours, but for messages that begin so."""
        return [
            line
            for line in self.lines()
            if (line["level"] in {"ERROR", "CRITICAL"} or "exception" in line)
            and not line["message"].startswith(allowed or ("\0",))
        ]

    def strays(self):
        """What was written outside the spool."""
        found = [str(path) for path in self._elsewhere.rglob("*")]
        if self._notes.exists():
            found += sorted(set(self._notes.read_text().splitlines()))
        return found

    def empty(self):
        """Whether the spool holds no instance any more."""
        return not any(
            path.suffix in {".dcm", ".part"} for path in self.spool.rglob("*")
        )

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_exc):
        if self.process is not None and self.process.poll() is None:
            pids = self.pids()
            for pid in reversed(pids):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.wait(20)


def _cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status(pid, name):
    """A number of /proc/<pid>/status, 0 once the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0
