"""The S3 sink as a process of its own, for tests and benchmarks.

::

    with S3Sink() as s3:
        environment |= s3.environment()
        s3.faults(share_503=0.05, share_torn=0.01, latency_s=0.02)
        …
        s3.objects()  # {"bucket/key": (size, sha256)}
        s3.stats()    # requests, puts, answered_503, torn, bad_digests, altered, …
        s3.get("bucket/key")
"""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path


class S3Sink:
    """A running sink.

    Args:
        keep: the largest body whose bytes are kept; of larger ones only size and
            SHA-256 are.
        seed: of the draw of which requests fail.

    Attributes:
        endpoint: for ``AWS_ENDPOINT_URL_S3``.
        pid: of its process.
    """

    def __init__(self, *, keep=1 << 20, seed=4711):
        server = Path(__file__).with_name("s3_sink_server.py")
        self._process = subprocess.Popen(
            [sys.executable, str(server), f"--keep={keep}", f"--seed={seed}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.port = int(self._process.stdout.readline())
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def environment(self):
        """AWS's own variables that lead boto3 here."""
        return {
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def faults(self, **changed):
        """Behave so from now on (see ``Faults``); what is not named is off."""
        self._call("faults", json.dumps(changed).encode())

    def stats(self):
        """What it counted."""
        return self._call("stats")

    def objects(self):
        """Size and SHA-256 (hexadecimal) by ``bucket/key``."""
        return {name: tuple(found) for name, found in self._call("objects").items()}

    def get(self, name):
        """Bytes of ``bucket/key``, if they were kept."""
        with urllib.request.urlopen(f"{self.endpoint}/{name}", timeout=30) as answer:
            return answer.read()

    def clear(self):
        """Forget all objects and what was counted of them."""
        self._call("clear")

    def close(self):
        self._process.terminate()
        self._process.wait(10)
        self._process.stdout.close()

    def _call(self, name, body=None):
        request = urllib.request.Request(
            f"{self.endpoint}/_sink/{name}",
            data=body,
            method="GET" if body is None else "PUT",
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()
