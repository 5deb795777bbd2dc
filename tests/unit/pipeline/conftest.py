import boto3
import pytest
from botocore.stub import Stubber


@pytest.fixture
def sagemaker():
    """A SageMaker client that answers what it is told, checked against the model."""
    client = boto3.client(
        "sagemaker",
        region_name="eu-west-1",
        aws_access_key_id="unused",
        aws_secret_access_key="unused",
    )
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()
