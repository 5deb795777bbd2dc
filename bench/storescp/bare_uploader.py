"""boto3's put_object and nothing else: what an upload costs, as a process.

``python -m bench.storescp.bare_uploader BUCKET PREFIX THREADS FOLDER...`` puts every
file of the folders, with the SHA-256 checksum that the Store SCP sends too, and prints
the seconds it took, without Python's start.
"""

import base64
import hashlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config


def main() -> int:
    """Put the files."""
    bucket, prefix, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    files = [file for folder in sys.argv[4:] for file in sorted(Path(folder).iterdir())]
    s3 = boto3.client("s3", config=Config(max_pool_connections=threads))
    s3.list_objects_v2(Bucket=bucket, MaxKeys=1)

    def put(file: Path) -> None:
        digest = hashlib.sha256(file.read_bytes()).digest()
        with file.open("rb") as body:
            s3.put_object(
                Bucket=bucket,
                Key=f"{prefix}{file.parent.name}/{file.name}",
                Body=body,
                ChecksumSHA256=base64.b64encode(digest).decode(),
            )

    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, files))
    print(time.monotonic() - began, flush=True)
    sys.stdin.readline()
    return 0


if __name__ == "__main__":
    sys.exit(main())
