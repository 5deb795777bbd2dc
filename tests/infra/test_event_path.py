"""Events go the whole way on the deployed stacks: rule, queue, dead letters."""

import json

import pytest

OTHER = "0" * 32
SAGEMAKER = "SageMaker Model Building Pipeline Execution Status Change"


@pytest.fixture
def receive(deployed, outputs):
    """Every message in a queue, which is then empty."""
    sqs = deployed.client("sqs")

    def read(url=outputs["QueueUrl"]):
        found = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    read()
    return read


@pytest.fixture
def put(deployed):
    def send(source, detail_type, detail, resources=()):
        answer = deployed.client("events").put_events(
            Entries=[
                {
                    "Source": source,
                    "DetailType": detail_type,
                    "Detail": json.dumps(detail),
                    "Resources": list(resources),
                }
            ]
        )
        assert answer["FailedEntryCount"] == 0

    return send


def image_set(datastore, **changed):
    """`Image Set Created`, as the developer guide has it."""
    return {
        "imagingVersion": "1.0",
        "isPrimary": True,
        "imageSetVersion": "1",
        "datastoreId": datastore,
        "imagesetId": "5b3a711878c34d40e888253319388649",
        "imageSetState": "ACTIVE",
        "imageSetWorkflowStatus": "CREATED",
        **changed,
    }


def import_job(datastore):
    return {
        "imagingVersion": "1.0",
        "datastoreId": datastore,
        "jobId": "a6a1d220f152e7aab6d8925d995d8b76",
        "jobName": "x",
        "jobStatus": "COMPLETED",
        "inputS3Uri": "s3://b/DICOM/1/",
        "outputS3Uri": "s3://b/import-output/",
    }


def stored(bucket, key):
    """`Object Created`, as the S3 user guide has it."""
    return {
        "version": "0",
        "bucket": {"name": bucket},
        "object": {"key": key, "size": 5, "etag": "e", "sequencer": "1"},
        "request-id": "r",
        "requester": "123456789012",
        "source-ip-address": "10.0.0.1",
        "reason": "PutObject",
    }


def execution(pipeline_arn):
    return {
        "pipelineArn": pipeline_arn,
        "pipelineExecutionArn": f"{pipeline_arn}/execution/abcdefghijkl",
        "currentPipelineExecutionStatus": "Succeeded",
        "previousPipelineExecutionStatus": "Executing",
        "executionStartTime": "2026-11-23T09:00:00Z",
        "executionEndTime": "2026-11-23T09:05:00Z",
    }


@pytest.fixture
def ours(outputs, deployed):
    account = outputs["QueueArn"].split(":")[4]
    name = outputs["PipelineName"]
    return {
        "datastore": outputs["DatastoreId"],
        "bucket": outputs["ReceiveBucketName"],
        "pipeline": f"arn:aws:sagemaker:{outputs['Region']}:{account}:pipeline/{name}",
    }


@pytest.mark.parametrize(
    ("source", "detail_type", "detail"),
    [
        *(
            ("aws.medical-imaging", kind, lambda our: image_set(our["datastore"]))
            for kind in ("Image Set Created", "Image Set Updated", "Image Set Copied")
        ),
        (
            "aws.medical-imaging",
            "Image Set Created",
            lambda our: image_set(our["datastore"], isPrimary=False),
        ),
        *(
            ("aws.medical-imaging", kind, lambda our: import_job(our["datastore"]))
            for kind in ("Import Job Completed", "Import Job Failed")
        ),
        (
            "aws.s3",
            "Object Created",
            lambda our: stored(our["bucket"], "batches/b1.json"),
        ),
        ("aws.sagemaker", SAGEMAKER, lambda our: execution(our["pipeline"])),
    ],
)
def test_one_event_is_one_message(put, receive, ours, source, detail_type, detail):
    put(source, detail_type, detail(ours), ["arn:aws:x"])
    (message,) = receive()
    assert message["source"] == source
    assert message["detail-type"] == detail_type
    assert message["detail"] == detail(ours)
    assert message["resources"] == ["arn:aws:x"]


@pytest.mark.parametrize(
    ("source", "detail_type", "detail"),
    [
        # what is said of a set that is going, or of another data store
        (
            "aws.medical-imaging",
            "Image Set Deleted",
            lambda our: image_set(our["datastore"]),
        ),
        ("aws.medical-imaging", "Image Set Created", lambda _: image_set(OTHER)),
        ("aws.medical-imaging", "Import Job Completed", lambda _: import_job(OTHER)),
        (
            "aws.medical-imaging",
            "Import Job Submitted",
            lambda our: import_job(our["datastore"]),
        ),
        # a detail type that samples have, and no event ever had
        (
            "aws.medical-imaging",
            "HealthImaging ImageSet State Change",
            lambda our: image_set(our["datastore"]),
        ),
        ("elsewhere", "Image Set Created", lambda our: image_set(our["datastore"])),
        (
            "aws.s3",
            "Object Created",
            lambda our: stored(our["bucket"], "DICOM/b1/1.dcm"),
        ),
        ("aws.s3", "Object Created", lambda _: stored("another", "batches/b1.json")),
        (
            "aws.s3",
            "Object Deleted",
            lambda our: stored(our["bucket"], "batches/b1.json"),
        ),
        (
            "aws.sagemaker",
            SAGEMAKER,
            lambda our: execution(our["pipeline"] + "-another"),
        ),
        (
            "aws.sagemaker",
            "SageMaker Training Job State Change",
            lambda our: execution(our["pipeline"]),
        ),
    ],
)
def test_other_events_are_none(put, receive, ours, source, detail_type, detail):
    put(source, detail_type, detail(ours))
    assert receive() == []


def test_the_image_set_rule_is_the_one_that_is_named(deployed, outputs):
    rule = deployed.client("events").describe_rule(Name="ahi-imageset-created-trigger")
    assert rule["State"] == "ENABLED"
    assert rule["Arn"] == outputs["EventRuleArn"]


def attributes(deployed, url):
    return deployed.client("sqs").get_queue_attributes(
        QueueUrl=url, AttributeNames=["All"]
    )["Attributes"]


def test_what_fails_five_times_goes_to_the_dead_letters(deployed, outputs):
    queue = attributes(deployed, outputs["QueueUrl"])
    dead = attributes(deployed, outputs["DlqUrl"])
    redrive = json.loads(queue["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == dead["QueueArn"]
    assert int(redrive["maxReceiveCount"]) == 5
    for each in (queue, dead):
        assert int(each["MessageRetentionPeriod"]) == 14 * 24 * 3600
        assert each["KmsMasterKeyId"] in outputs["KmsKeyArn"]


def test_rules_keep_what_they_could_not_deliver(deployed, outputs):
    dead = attributes(deployed, outputs["DlqUrl"])["QueueArn"]
    events = deployed.client("events")
    rules = events.list_rules()["Rules"]
    assert len(rules) == 4
    for rule in rules:
        (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        assert target["Arn"] == outputs["QueueArn"]
        assert target["DeadLetterConfig"]["Arn"] == dead


@pytest.mark.parametrize("queue", ["QueueUrl", "DlqUrl"])
def test_only_these_rules_may_send_and_only_by_tls(deployed, outputs, queue):
    policy = json.loads(attributes(deployed, outputs[queue])["Policy"])
    rules = {rule["Arn"] for rule in deployed.client("events").list_rules()["Rules"]}
    allows = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    (allow,) = allows
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Action"] == "sqs:SendMessage"
    (sources,) = [keys["aws:SourceArn"] for keys in allow["Condition"].values()]
    assert set(sources) == rules
    assert any(
        each["Effect"] == "Deny"
        and each["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for each in policy["Statement"]
    )


def test_the_key_lets_eventbridge_write_into_the_queue(deployed, outputs):
    key = outputs["KmsKeyArn"].rpartition("/")[2]
    policy = json.loads(
        deployed.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    )
    (statement,) = (
        each
        for each in policy["Statement"]
        if each["Principal"] == {"Service": "events.amazonaws.com"}
    )
    assert set(statement["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert statement["Condition"], "any account's rule could use the key"


def test_the_bucket_tells_eventbridge(templates, deployed, outputs):
    (bucket,) = (
        resource["Properties"]
        for resource in templates["IsocenterData"]["Resources"].values()
        if resource["Type"] == "AWS::S3::Bucket"
        and "NotificationConfiguration" in resource["Properties"]
    )
    assert bucket["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }
    policy = json.loads(
        deployed.client("s3").get_bucket_policy(Bucket=outputs["ReceiveBucketName"])[
            "Policy"
        ]
    )
    assert any(
        each["Effect"] == "Deny"
        and each["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for each in policy["Statement"]
    )
