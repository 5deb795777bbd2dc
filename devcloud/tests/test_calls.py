"""Every call is noted by who made it, on all three servers."""

import json
import urllib.request

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from isocenter.devcloud.calls import Calls, Request, operation_of
from isocenter.devcloud.cloud import DevCloud
from isocenter.devcloud.healthimaging.app import create_app

DATASTORE = "d" * 32
REST = [
    ("s3", "GET", "/", "", {}, "ListBuckets"),
    ("s3", "HEAD", "/bucket", "", {}, "HeadBucket"),
    ("s3", "GET", "/bucket", "list-type=2&prefix=a%2F", {}, "ListObjectsV2"),
    ("s3", "GET", "/bucket", "prefix=a", {}, "ListObjects"),
    ("s3", "GET", "/bucket", "lifecycle", {}, "GetBucketLifecycleConfiguration"),
    ("s3", "PUT", "/bucket/a/b.dcm", "", {}, "PutObject"),
    ("s3", "PUT", "/bucket/a/b", "x-id=PutObject", {}, "PutObject"),
    ("s3", "PUT", "/bucket/a", "", {"x-amz-copy-source": "b/k"}, "CopyObject"),
    ("s3", "PUT", "/bucket/a", "partNumber=1&uploadId=u", {}, "UploadPart"),
    ("s3", "POST", "/bucket/a", "uploads", {}, "CreateMultipartUpload"),
    ("s3", "POST", "/bucket/a", "uploadId=u", {}, "CompleteMultipartUpload"),
    ("s3", "DELETE", "/bucket/a", "uploadId=u", {}, "AbortMultipartUpload"),
    ("s3", "GET", "/bucket/a/b/c", "x-id=GetObject", {}, "GetObject"),
    ("s3", "HEAD", "/bucket/a", "", {}, "HeadObject"),
    ("s3", "PATCH", "/bucket/a", "", {}, None),
    ("nothing", "GET", "/", "", {}, None),
    ("sqs", "POST", "/", "", {"x-amz-target": "AmazonSQS.SendMessage"}, "SendMessage"),
    (
        "medical-imaging",
        "POST",
        f"/datastore/{DATASTORE}/imageSet/i/getImageFrame",
        "",
        {},
        "GetImageFrame",
    ),
    (
        "medical-imaging",
        "GET",
        f"/datastore/{DATASTORE}/studies/1.2/series/3.4/metadata",
        "",
        {},
        "GetDICOMSeriesMetadata",
    ),
    (
        "medical-imaging",
        "GET",
        f"/datastore/{DATASTORE}/studies",
        "limit=1",
        {},
        "SearchDICOMStudies",
    ),
]


@pytest.mark.parametrize(
    ("service", "method", "path", "query", "headers", "operation"), REST
)
def test_operation_of(service, method, path, query, headers, operation):
    assert operation_of(service, Request(method, path, query, headers)) == operation


def test_the_query_protocol_says_its_action():
    request = Request("POST", "/", "", {})
    assert operation_of("sts", request, "Action=GetCallerIdentity&Version=1") == (
        "GetCallerIdentity"
    )


def test_nothing_but_names_is_kept():
    calls = Calls()
    headers = {"user-agent": "Boto3/1 app/me x", "x-amz-target": "A.Do"}
    calls.record("a", Request("POST", "/MRN-4711", "patient=MRN-4711", headers))
    assert calls.seen() == {"me": ["a:Do"]}


@pytest.fixture
def cloud(settings):
    with DevCloud(settings, create_app) as running:
        yield running


def test_three_servers_over_the_wire(cloud):
    def client(service, app):
        return boto3.client(
            service,
            endpoint_url=cloud.endpoints.url(service),
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(user_agent_appid=app, inject_host_prefix=False),
        )

    s3 = client("s3", "writer")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="a/b", Body=b"1")
    client("sqs", "reader").list_queues()
    client("sts", "reader").get_caller_identity()
    client("sagemaker", "reader").list_pipelines()
    client("medical-imaging", "reader").list_datastores()
    dicomweb = AWSRequest(
        "GET",
        f"{cloud.endpoints.healthimaging}/datastore/{DATASTORE}/studies",
        headers={"User-Agent": "aiohttp app/viewer"},
    )
    SigV4Auth(Credentials("a", "b"), "medical-imaging", "us-east-1").add_auth(dicomweb)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(
            urllib.request.Request(dicomweb.url, headers=dict(dicomweb.headers.items()))
        )

    with urllib.request.urlopen(
        f"{cloud.endpoints.sagemaker}/_devcloud/calls"
    ) as answer:
        seen = json.load(answer)
    assert seen == {
        "reader": [
            "medical-imaging:ListDatastores",
            "sagemaker:ListPipelines",
            "sqs:ListQueues",
            "sts:GetCallerIdentity",
        ],
        "viewer": ["medical-imaging:SearchDICOMStudies"],
        "writer": ["s3:CreateBucket", "s3:PutObject"],
    }
