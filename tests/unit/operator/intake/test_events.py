import json

import pytest

from isocenter.core.errors import MalformedError
from isocenter.core.healthimaging.events import ImageSetEvent
from isocenter.operator.intake.events import (
    BatchSealed,
    ExecutionChanged,
    ImportEnded,
    parse,
)

DS, IS = "d" * 32, "1" * 32
EXECUTION = "SageMaker Model Building Pipeline Execution Status Change"


def s3(key, bucket="b"):
    return {
        "id": "e",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": bucket}, "object": {"key": key}},
    }


def execution(description):
    return {
        "id": "e",
        "source": "aws.sagemaker",
        "detail-type": EXECUTION,
        "detail": {
            "pipelineExecutionArn": "arn:e",
            "currentPipelineExecutionStatus": "Succeeded",
            "pipelineExecutionDescription": description,
        },
    }


def healthimaging(kind, **detail):
    return {
        "id": "e",
        "source": "aws.medical-imaging",
        "detail-type": kind,
        "detail": {"datastoreId": DS} | detail,
    }


@pytest.mark.parametrize(
    ("body", "event"),
    [
        (s3("batches/a b+c.json"), BatchSealed("e", "b", "batches/a b+c.json")),
        (s3("batches/x.json.tmp"), None),
        (s3("DICOM/x/1.dcm"), None),
        (s3("runs/n/x/attempt-1/request.json"), None),
        (
            execution("isocenter TrainingRun imaging/a-run"),
            ExecutionChanged("e", "arn:e", "Succeeded", "imaging", "a-run"),
        ),
        (execution("started by hand"), None),
        (execution(None), None),
        (
            healthimaging("Image Set Created", imagesetId=IS, imageSetVersion="1"),
            ImageSetEvent("e", "Image Set Created", DS, IS, "1", None),
        ),
        (healthimaging("Image Set Deleted", imageSetId=IS), None),
        (
            healthimaging("Import Job Completed", jobId="2" * 32, jobName="a-batch"),
            ImportEnded("e", "2" * 32, "a-batch"),
        ),
        (healthimaging("Import Job Failed", jobId="2" * 32), None),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent"}, None),
        ({"source": "aws.ec2", "detail-type": "x", "detail": {}}, None),
        ({}, None),
    ],
)
def test_parse(body, event):
    assert parse(json.dumps(body), batches_prefix="batches/") == event


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '"text"',
        json.dumps({"source": "aws.s3", "detail-type": "Object Created"}),
        json.dumps(s3("x") | {"detail": {"bucket": "b"}}),
        json.dumps({"source": "aws.sagemaker", "detail-type": EXECUTION}),
        json.dumps(healthimaging("Image Set Created", imageSetId="../x")),
        json.dumps(healthimaging("Import Job Completed")),
    ],
)
def test_malformed(text):
    with pytest.raises(MalformedError):
        parse(text, batches_prefix="batches/")
