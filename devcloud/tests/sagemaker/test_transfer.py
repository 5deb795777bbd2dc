"""Inputs and outputs of a step, against an S3 in memory."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from isocenter.devcloud.sagemaker.transfer import (
    TransferError,
    download,
    local_name,
    split_uri,
    upload,
)


class MemoryS3:
    """Objects by (bucket, key), behind the calls of boto3's client that are used."""

    def __init__(self, objects=()):
        self.objects = dict(objects)

    def get_paginator(self, operation):
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket, Prefix):  # noqa: N803 - boto3's names
        keys = [
            {"Key": key}
            for bucket, key in sorted(self.objects)
            if bucket == Bucket and key.startswith(Prefix)
        ]
        yield {"Contents": keys[:1]} if keys else {}
        yield {"Contents": keys[1:]}

    def download_file(self, bucket, key, path):
        Path(path).write_bytes(self.objects[bucket, key])

    def upload_file(self, path, bucket, key):
        self.objects[bucket, key] = Path(path).read_bytes()

    def get_object(self, *, Bucket, Key):  # noqa: N803 - boto3's names
        return {"Body": io.BytesIO(self.objects[Bucket, Key])}


def source(uri, path, kind="S3Prefix"):
    return {
        "directories": [],
        "files": {},
        "downloads": [{"name": "in", "uri": uri, "type": kind, "path": str(path)}],
    }


def tree(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("prefix", "key", "name"),
    [
        ("runs/x", "runs/x/a.npy", "a.npy"),
        ("runs/x/", "runs/x/d/a.npy", "d/a.npy"),
        ("runs/x/a.npy", "runs/x/a.npy", "a.npy"),
        ("runs/x/im", "runs/x/im-1/a.npy", "im-1/a.npy"),
        ("im", "im-1", "im-1"),
        ("", "a/b", "a/b"),
    ],
)
def test_where_an_object_goes(prefix, key, name):
    assert local_name(prefix, key) == name


def test_download(tmp_path):
    s3 = MemoryS3(
        {
            ("b", "runs/x/manifest.json"): b"m",
            ("b", "runs/x/sets/1.npy"): b"1",
            ("b", "runs/x/empty/"): b"",
            ("b", "runs/y"): b"not mine",
        }
    )
    plan = source("s3://b/runs/x", tmp_path / "data")
    plan["directories"] = [str(tmp_path / "out")]
    plan["files"] = {str(tmp_path / "config" / "c.json"): "{}"}
    assert download(plan, s3) == 2
    assert tree(tmp_path) == {
        "data/manifest.json": b"m",
        "data/sets/1.npy": b"1",
        "config/c.json": b"{}",
    }
    assert (tmp_path / "out").is_dir()


def test_a_manifest_of_inputs(tmp_path):
    entries = [{"prefix": "s3://b/data/"}, "1.npy", "deep/2.npy"]
    s3 = MemoryS3(
        {
            ("b", "list.json"): json.dumps(entries).encode(),
            ("b", "data/1.npy"): b"1",
            ("b", "data/deep/2.npy"): b"2",
            ("b", "data/3.npy"): b"3",
        }
    )
    plan = source("s3://b/list.json", tmp_path, "ManifestFile")
    assert download(plan, s3) == 2
    assert tree(tmp_path) == {"1.npy": b"1", "deep/2.npy": b"2"}


@pytest.mark.parametrize(
    ("objects", "uri", "kind", "words"),
    [
        ({}, "s3://b/none", "S3Prefix", "No S3 objects found under S3 URL"),
        ({("b", "p/../../x"): b""}, "s3://b/p", "S3Prefix", "can't be a file name"),
        ({("b", "l"): b"[]"}, "s3://b/l", "ManifestFile", "does not begin with"),
        ({}, "https://b/none", "S3Prefix", "not an s3:// URI"),
    ],
)
def test_inputs_that_are_none(tmp_path, objects, uri, kind, words):
    with pytest.raises(TransferError, match=words):
        download(source(uri, tmp_path, kind), MemoryS3(objects))


def test_upload(tmp_path):
    out, model, data = tmp_path / "out", tmp_path / "model", tmp_path / "data"
    for path, content in {
        out / "manifest.json": b"m",
        out / "sets" / "1.npy": b"1",
        model / "weights" / "w.bin": b"w",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    s3 = MemoryS3()
    plan = {
        "trees": [
            {"path": str(out), "uri": "s3://b/runs/x"},
            {"path": str(tmp_path / "never made"), "uri": "s3://b/none"},
        ],
        "archives": [
            {"path": str(model), "uri": "s3://b/job/output/model.tar.gz"},
            {"path": str(data), "uri": "s3://b/job/output/output.tar.gz"},
        ],
    }
    assert upload(plan, s3) == 4
    assert s3.objects["b", "runs/x/manifest.json"] == b"m"
    assert s3.objects["b", "runs/x/sets/1.npy"] == b"1"
    packed = io.BytesIO(s3.objects["b", "job/output/model.tar.gz"])
    with tarfile.open(fileobj=packed) as archive:
        assert archive.getnames() == ["weights", "weights/w.bin"]
    empty = io.BytesIO(s3.objects["b", "job/output/output.tar.gz"])
    with tarfile.open(fileobj=empty) as archive:
        assert archive.getnames() == []


def test_uris():
    assert split_uri("s3://b/a#b?c/d") == ("b", "a#b?c/d")
    assert split_uri("s3://b") == ("b", "")
