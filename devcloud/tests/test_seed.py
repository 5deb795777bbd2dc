"""The seed: read from a file, made in order, made twice without harm."""

import socket
import urllib.request
from urllib.parse import urlsplit, urlunsplit

import pytest
import yaml

from isocenter.devcloud.aws import AwsServer, client
from isocenter.devcloud.calls import Calls
from isocenter.devcloud.seed import Call, SeedError, apply, read

ACCOUNT, REGION = "111122223333", "eu-west-1"
VARIABLES = {"account": ACCOUNT, "region": REGION}
CALLS = [
    {
        "service": "s3",
        "operation": "CreateBucket",
        "parameters": {
            "Bucket": "data",
            "CreateBucketConfiguration": {"LocationConstraint": REGION},
        },
    },
    {
        "service": "s3",
        "operation": "PutBucketNotificationConfiguration",
        "parameters": {
            "Bucket": "data",
            "NotificationConfiguration": {"EventBridgeConfiguration": {}},
        },
    },
    {
        "service": "sqs",
        "operation": "CreateQueue",
        "parameters": {"QueueName": "dead"},
    },
    {
        "service": "sqs",
        "operation": "CreateQueue",
        "parameters": {
            "QueueName": "events",
            "Attributes": {
                "RedrivePolicy": '{"deadLetterTargetArn":"arn:aws:sqs:${region}'
                ':${account}:dead","maxReceiveCount":"5"}'
            },
        },
    },
    {
        "service": "events",
        "operation": "PutRule",
        "parameters": {
            "Name": "sealed",
            "EventPattern": '{"source":["aws.s3"],"detail":{"object":{"key":'
            '[{"prefix":"batches/"}]}}}',
        },
    },
    {
        "service": "events",
        "operation": "PutTargets",
        "parameters": {
            "Rule": "sealed",
            "Targets": [
                {"Id": "queue", "Arn": "arn:aws:sqs:${region}:${account}:events"}
            ],
        },
    },
]


@pytest.fixture(scope="module")
def connect():
    server = AwsServer("127.0.0.1", 0, ACCOUNT, Calls())
    server.start()
    clients = {}

    def get(service):
        if service not in clients:
            url = f"http://127.0.0.1:{server.port}"
            clients[service] = client(service, url, REGION)
        return clients[service]

    yield get
    for made in clients.values():
        made.close()
    server.stop()


@pytest.fixture
def written(tmp_path):
    def write(document):
        path = tmp_path / "seed.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return write


def test_the_account_works_after_it(connect, written, eventually):
    calls = read(written(CALLS))
    apply(calls, connect, VARIABLES)
    apply(calls, connect, VARIABLES)
    sqs = connect("sqs")
    url = sqs.get_queue_url(QueueName="events")["QueueUrl"]
    assert f"/{ACCOUNT}/" in url
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    assert ACCOUNT in attributes["Attributes"]["RedrivePolicy"]
    s3 = connect("s3")
    s3.put_object(Bucket="data", Key="other/a", Body=b"")
    s3.put_object(Bucket="data", Key="batches/1.json", Body=b"{}")

    def received():
        return sqs.receive_message(QueueUrl=url).get("Messages")

    (message,) = eventually(received)
    body = yaml.safe_load(message["Body"])
    assert body["detail"]["object"]["key"] == "batches/1.json"
    assert body["account"] == ACCOUNT


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"service": "s3", "operation": "CreateBuckets"}, "no such operation"),
        ({"service": "s3", "operation": "create_bucket"}, "no such operation"),
        ({"service": "nothing", "operation": "X"}, "nothing"),
        ({"service": "s3", "operation": "CreateBucket"}, "Bucket"),
        (
            {
                "service": "s3",
                "operation": "PutBucketNotificationConfiguration",
                "parameters": {"Bucket": "none", "NotificationConfiguration": {}},
            },
            "NoSuchBucket",
        ),
    ],
)
def test_refused_calls_say_which(connect, call, words):
    with pytest.raises(SeedError, match=f"(?s)seed call 1.*{words}"):
        apply([Call(**call)], connect, VARIABLES)


@pytest.mark.parametrize(
    "document", [{"service": "s3"}, ["s3"], [{"service": "s3", "call": "X"}]]
)
def test_unreadable_files(written, document):
    with pytest.raises(SeedError, match=r"seed\.yaml"):
        read(written(document))


def test_no_file_no_seed(tmp_path, written):
    assert read(written([])) == []
    with pytest.raises(SeedError):
        read(tmp_path / "none.yaml")


@pytest.mark.parametrize("service", ["medical-imaging", "sagemaker"])
def test_the_wrong_port_says_so(connect, service):
    call = {
        "medical-imaging": lambda made: made.list_datastores(),
        "sagemaker": lambda made: made.list_pipelines(),
    }[service]
    with pytest.raises(Exception, match="own port") as caught:
        call(connect(service))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_buckets_are_found_by_any_host_name(connect):
    s3 = connect("s3")
    s3.create_bucket(
        Bucket="by-path", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    s3.put_object(Bucket="by-path", Key="key", Body=b"content")
    signed = urlsplit(
        s3.generate_presigned_url(
            "get_object", Params={"Bucket": "by-path", "Key": "key"}
        )
    )
    for host in ("devcloud", "devcloud.ns.svc.cluster.local:5000"):
        request = urllib.request.Request(urlunsplit(signed), headers={"Host": host})
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.read() == b"content"
    queue = connect("sqs").create_queue(QueueName="by-host")["QueueUrl"]
    assert queue.startswith(connect("sqs").meta.endpoint_url)


def test_a_port_in_use_stops_the_start():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit):
        AwsServer("127.0.0.1", taken.getsockname()[1], ACCOUNT, Calls())
