"""Every AWS operation that the product calls is built in the local AWS.

The operations are found in the product's source, so that a new call without its
counterpart fails here rather than in a cluster.
"""

import ast
from pathlib import Path

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session
from support.local_aws import BUCKET

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("libs/core", "services", "operator", "pipeline")
SERVICES = ("medical-imaging", "s3", "sagemaker", "sqs")
OWN = {"list_objects", "search"}
"""Methods of the product's own objects and patterns that a boto3 client has too."""
TRANSFERS = {"upload_file": "put_object", "upload_fileobj": "put_object"}
"""boto3's own methods, and the operation that they come down to."""

ID = "0" * 32
QUEUE = "http://queue.invalid/111122223333/absent"
ROLE = "arn:aws:iam::111122223333:role/shapes"
EXECUTION = (
    "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/absent/execution/abcdefghijkl"
)
IMAGE_SET = {"datastoreId": ID, "imageSetId": ID}
OBJECT = {"Bucket": BUCKET, "Key": "shapes/object"}
PIPELINE = {"PipelineName": "absent", "RoleArn": ROLE, "PipelineDefinition": "{}"}
MESSAGE = {"QueueUrl": QUEUE, "ReceiptHandle": "absent"}
REQUESTS = {
    ("medical-imaging", "get_dicom_import_job"): {"datastoreId": ID, "jobId": ID},
    ("medical-imaging", "get_image_frame"): IMAGE_SET
    | {"imageFrameInformation": {"imageFrameId": ID}},
    ("medical-imaging", "get_image_set"): IMAGE_SET,
    ("medical-imaging", "get_image_set_metadata"): IMAGE_SET,
    ("medical-imaging", "search_image_sets"): {"datastoreId": ID},
    ("medical-imaging", "start_dicom_import_job"): {
        "datastoreId": ID,
        "clientToken": "shapes",
        "dataAccessRoleArn": ROLE,
        "inputS3Uri": f"s3://{BUCKET}/absent/",
        "outputS3Uri": f"s3://{BUCKET}/output/",
    },
    ("s3", "delete_object"): OBJECT,
    ("s3", "get_object"): OBJECT,
    ("s3", "head_object"): OBJECT,
    ("s3", "list_objects_v2"): {"Bucket": BUCKET, "Prefix": "absent/"},
    ("s3", "put_object"): OBJECT | {"Body": b"{}", "ChecksumAlgorithm": "SHA256"},
    ("sagemaker", "create_pipeline"): PIPELINE | {"ClientRequestToken": "s" * 32},
    ("sagemaker", "describe_pipeline"): {"PipelineName": "absent"},
    ("sagemaker", "describe_pipeline_execution"): {"PipelineExecutionArn": EXECUTION},
    ("sagemaker", "describe_processing_job"): {"ProcessingJobName": "absent"},
    ("sagemaker", "describe_training_job"): {"TrainingJobName": "absent"},
    ("sagemaker", "list_pipeline_execution_steps"): {"PipelineExecutionArn": EXECUTION},
    ("sagemaker", "start_pipeline_execution"): {
        "PipelineName": "absent",
        "ClientRequestToken": "s" * 32,
    },
    ("sagemaker", "update_pipeline"): PIPELINE,
    ("sqs", "change_message_visibility"): MESSAGE | {"VisibilityTimeout": 1},
    ("sqs", "delete_message"): MESSAGE,
    ("sqs", "receive_message"): {"QueueUrl": QUEUE},
}
"""A valid request for each operation, about things that do not exist."""


def methods():
    """Each service's operations by the names of boto3's methods."""
    session = get_session()
    return {
        service: {
            xform_name(name)
            for name in session.get_service_model(service).operation_names
        }
        for service in SERVICES
    }


def called(source):
    """Names of methods that are called, and of paginators that are asked for."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        yield TRANSFERS.get(node.func.attr, node.func.attr)
        if node.func.attr == "get_paginator" and isinstance(node.args[0], ast.Constant):
            yield node.args[0].value


def test_every_operation_of_the_product_is_in_the_table():
    files = [
        file
        for part in PRODUCT
        for file in (ROOT / part).glob("**/src/isocenter/**/*.py")
        if "testing" not in file.parts
    ]
    assert len(files) > 50
    names = {name for file in files for name in called(file.read_text())} - OWN
    found = {
        (service, name)
        for service, known in methods().items()
        for name in known & names
    }
    assert found == set(REQUESTS)


@pytest.fixture(scope="module")
def status_of(aws):
    """HTTP status of one call, without SDK retries."""
    once = Config(retries={"total_max_attempts": 1})
    clients = {service: boto3.client(service, config=once) for service in SERVICES}

    def call(service, method, request):
        try:
            answer = getattr(clients[service], method)(**request)
        except ClientError as error:
            answer = error.response
        return answer["ResponseMetadata"]["HTTPStatusCode"]

    return call


@pytest.mark.parametrize(("service", "method"), REQUESTS)
def test_operation_is_built(status_of, service, method):
    assert status_of(service, method, REQUESTS[service, method]) < 500


@pytest.mark.parametrize(
    ("service", "method", "request_"),
    [
        ("sagemaker", "list_models", {}),
        ("medical-imaging", "delete_image_set", IMAGE_SET),
    ],
)
def test_operation_that_is_not_built_says_so(status_of, service, method, request_):
    assert status_of(service, method, request_) == 501
