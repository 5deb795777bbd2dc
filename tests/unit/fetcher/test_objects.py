import boto3
import pytest
from moto import mock_aws

from isocenter.core.errors import NotFoundError, RefusedError
from isocenter.fetcher.objects import Objects


@pytest.fixture
def s3(monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield Objects.connect()


def test_write_find_list_delete(s3, tmp_path):
    s3.write("s3://bucket/jobs/a.json", b"{}")
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100)
    s3.upload("s3://bucket/jobs/b", file)
    assert s3.read("s3://bucket/jobs/a.json") == b"{}"
    assert s3.find("s3://bucket/jobs/b") == b"x" * 100
    assert s3.find("s3://bucket/jobs/c") is None
    assert list(s3.names("s3://bucket/jobs/")) == ["a.json", "b"]
    s3.delete("s3://bucket/jobs/a.json")
    s3.delete("s3://bucket/jobs/a.json")
    assert list(s3.names("s3://bucket/jobs/")) == ["b"]


@pytest.mark.parametrize("method", ["read", "find", "names"])
def test_a_bucket_that_is_not_there(s3, method):
    with pytest.raises(NotFoundError, match="s3://none/x"):
        list(getattr(s3, method)("s3://none/x") or ())


def test_an_upload_that_fails_names_the_object(s3, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with pytest.raises(NotFoundError, match=r"write s3://none/key.*NoSuchBucket"):
        s3.upload("s3://none/key", file)


def test_no_s3_uri(s3):
    with pytest.raises(RefusedError, match="not an S3 URI"):
        s3.read("/tmp/x")
