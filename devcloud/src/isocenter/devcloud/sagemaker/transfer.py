"""`isocenter-devcloud inputs|outputs`: what SageMaker's agent moves in a step's pod.

A plan of inputs: `{"directories": [path], "files": {path: text}, "downloads":
[{"name", "uri", "type", "path"}]}`; of outputs: `{"trees": [{"path", "uri"}],
"archives": [{"path", "uri"}]}`. Types are S3Prefix and ManifestFile. `s3` is a boto3
client throughout.

Assumed: FastFile inputs look like File ones; an empty model directory still makes an
archive.
"""

import json
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

_THREADS = 8


class TransferError(Exception):
    """Something could not be moved; the text is part of a FailureReason."""


def download(plan: dict[str, Any], s3: Any) -> int:
    """Carry out a plan of inputs; the number of objects downloaded."""
    for directory in plan["directories"]:
        Path(directory).mkdir(parents=True, exist_ok=True)
    for path, text in plan["files"].items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
    wanted: list[tuple[str, str, Path]] = []
    for source in plan["downloads"]:
        root = Path(source["path"])
        root.mkdir(parents=True, exist_ok=True)
        found = [
            (bucket, key, _inside(root, relative))
            for bucket, key, relative in _objects(source, s3)
        ]
        if not found:
            raise TransferError(
                f'No S3 objects found under S3 URL "{source["uri"]}" given in input '
                f"data source {source['name']}"
            )
        wanted += found
    for _, _, path in wanted:
        path.parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_THREADS) as pool:
        jobs = [
            pool.submit(s3.download_file, bucket, key, str(path))
            for bucket, key, path in wanted
        ]
        for job in jobs:
            job.result()
    return len(wanted)


def upload(plan: dict[str, Any], s3: Any) -> int:
    """Carry out a plan of outputs; the number of objects uploaded."""
    uploads: list[tuple[Path, str, str]] = []
    for tree in plan["trees"]:
        root = Path(tree["path"])
        bucket, prefix = split_uri(tree["uri"])
        for path in _files(root):
            relative = path.relative_to(root).as_posix()
            uploads.append((path, bucket, _key(prefix, relative)))
    with ThreadPoolExecutor(_THREADS) as pool:
        jobs = [
            pool.submit(s3.upload_file, str(path), bucket, key)
            for path, bucket, key in uploads
        ]
        for job in jobs:
            job.result()
    for archive in plan["archives"]:
        bucket, key = split_uri(archive["uri"])
        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as packed:
            _pack(Path(archive["path"]), packed.name)
            s3.upload_file(packed.name, bucket, key)
    return len(uploads) + len(plan["archives"])


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` URI."""
    parts = urlsplit(uri, allow_fragments=False)
    if parts.scheme != "s3" or not parts.netloc:
        raise TransferError(f"not an s3:// URI: {uri}")
    return parts.netloc, uri.removeprefix(f"s3://{parts.netloc}").removeprefix("/")


def local_name(prefix: str, key: str) -> str:
    """Where an object found by a prefix goes, below the input's directory.

    The prefix counts as a folder when it is one, as the object's own name when it is
    the whole key, and as the beginning of names in its folder otherwise.
    """
    if key == prefix:
        return PurePosixPath(key).name
    rest = key.removeprefix(prefix)
    if not prefix or prefix.endswith("/"):
        return rest
    if rest.startswith("/"):
        return rest[1:]
    folder = prefix.rpartition("/")[0]
    return key.removeprefix(f"{folder}/") if folder else key


def _objects(source: dict[str, str], s3: Any) -> Iterator[tuple[str, str, str]]:
    if source["type"] != "ManifestFile":
        bucket, prefix = split_uri(source["uri"])
        for key in _list(s3, bucket, prefix):
            yield bucket, key, local_name(prefix, key)
        return
    bucket, key = split_uri(source["uri"])
    entries = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    try:
        bucket, prefix = split_uri(entries[0]["prefix"])
    except (LookupError, TypeError) as error:
        raise TransferError(
            f'the manifest {source["uri"]} does not begin with {{"prefix": ...}}'
        ) from error
    for name in entries[1:]:
        yield bucket, prefix + name, name


def _list(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for entry in page.get("Contents", []):
            if not entry["Key"].endswith("/"):
                yield entry["Key"]


def _inside(root: Path, relative: str) -> Path:
    if not relative or ".." in PurePosixPath(relative).parts:
        raise TransferError(f"an object's key can't be a file name: {relative!r}")
    return root / relative.lstrip("/")


def _files(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(path for path in root.rglob("*") if path.is_file())


def _key(prefix: str, relative: str) -> str:
    return f"{prefix.rstrip('/')}/{relative}" if prefix else relative


def _pack(root: Path, archive: str) -> None:
    with tarfile.open(archive, "w:gz") as packed:
        for path in sorted(root.iterdir()) if root.is_dir() else []:
            packed.add(path, arcname=path.name)
