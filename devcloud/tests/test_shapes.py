import pytest

from isocenter.devcloud.shapes import (
    ShapeError,
    check_input,
    check_output,
    service_model,
)

START = {
    "datastoreId": "a" * 32,
    "clientToken": "t",
    "dataAccessRoleArn": "arn:aws:iam::123456789012:role/x",
    "inputS3Uri": "s3://bucket/in/",
    "outputS3Uri": "s3://bucket/out/",
}
EXECUTION = {"PipelineName": "p", "ClientRequestToken": "x" * 32}


def refused(service, operation, params):
    with pytest.raises(ShapeError) as caught:
        check_input(service, operation, params)
    return str(caught.value)


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("medical-imaging", "StartDICOMImportJob", START),
        # null counts as absent
        ("medical-imaging", "StartDICOMImportJob", START | {"jobName": None}),
        ("medical-imaging", "ListDatastores", {"maxResults": 50}),
        (
            "medical-imaging",
            "SearchImageSets",
            {
                "datastoreId": "a" * 32,
                "searchCriteria": {
                    "filters": [
                        {
                            "operator": "BETWEEN",
                            "values": [{"createdAt": 1}, {"createdAt": 2.5}],
                        }
                    ]
                },
            },
        ),
        ("sagemaker", "StartPipelineExecution", EXECUTION),
        (
            "sagemaker",
            "AddTags",
            {
                "ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/p",
                "Tags": [{"Key": "clé", "Value": "größe 1+1"}],
            },
        ),
    ],
)
def test_good_requests_pass(service, operation, params):
    check_input(service, operation, params)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"datastoreId": "A" * 32},
            "'datastoreId' failed to satisfy constraint: Member must satisfy regular expression pattern: [0-9a-z]{32}",  # noqa: E501 - one sentence
        ),
        ({"inputS3Uri": "http://x"}, "regular expression pattern: s3://"),
        (
            {"inputS3Uri": None},
            "Value 'null' at 'inputS3Uri' failed to satisfy constraint: Member must not be null",  # noqa: E501 - one sentence
        ),
        ({"clientToken": "t" * 65}, "Member must have length less than or equal to 64"),
        ({"jobName": ""}, "Member must have length greater than or equal to 1"),
        ({"jobName": 5}, "Member must be of type string"),
        (
            {"priority": 5},
            "Value at 'priority' failed to satisfy constraint: Member is not known",
        ),
        ({"importConfiguration": {}}, "Exactly one member of the union"),
        ({"importConfiguration": []}, "Member must be of type structure"),
    ],
)
def test_bad_members_are_named(change, text):
    assert text in refused("medical-imaging", "StartDICOMImportJob", START | change)


@pytest.mark.parametrize(
    ("service", "operation", "params", "text"),
    [
        (
            "medical-imaging",
            "ListDatastores",
            {"maxResults": 51},
            "'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50",  # noqa: E501 - one sentence
        ),
        (
            "medical-imaging",
            "ListDatastores",
            {"maxResults": 0},
            "greater than or equal to 1",
        ),
        ("medical-imaging", "ListDatastores", {"maxResults": True}, "of type integer"),
        (
            "medical-imaging",
            "ListDatastores",
            {"maxResults": "many"},
            "of type integer",
        ),
        (
            "medical-imaging",
            "ListDatastores",
            {"datastoreStatus": "GONE"},
            "enum value set: [CREATING, CREATE_FAILED, ACTIVE, DELETING, DELETED]",
        ),
        (
            "medical-imaging",
            "ListDatastores",
            {"nextToken": "é"},
            r"pattern: \p{ASCII}",
        ),
        (
            "sagemaker",
            "StartPipelineExecution",
            EXECUTION | {"PipelineParameters": [{"Name": "a b", "Value": "x"}]},
            "'pipelineParameters.1.member.name'",
        ),
        (
            "sagemaker",
            "StartPipelineExecution",
            {"PipelineName": "p", "ClientRequestToken": "x"},
            "greater than or equal to 32",
        ),
    ],
)
def test_bad_requests_are_refused(service, operation, params, text):
    assert text in refused(service, operation, params)


def test_every_violation_is_counted():
    text = refused("medical-imaging", "StartDICOMImportJob", {"datastoreId": "x"})
    assert text.startswith("5 validation errors detected: ")


def test_sensitive_values_are_not_repeated():
    params = {
        "datastoreId": "a" * 32,
        "searchCriteria": {
            "filters": [
                {
                    "operator": "EQUAL",
                    "values": [{"DICOMStudyInstanceUID": "Jane Doe"}],
                }
            ]
        },
    }
    text = refused("medical-imaging", "SearchImageSets", params)
    assert "dICOM" not in text
    assert "DICOMStudyInstanceUID" in text
    assert "Jane" not in text


ANSWER = {
    "datastoreId": "a" * 32,
    "jobId": "b" * 32,
    "jobStatus": "SUBMITTED",
    "submittedAt": 1.5,
}


def test_a_good_answer_passes():
    check_output("medical-imaging", "StartDICOMImportJob", ANSWER)


@pytest.mark.parametrize(
    "change",
    [
        {"jobStatus": "STARTED"},
        {"submittedAt": "2024-01-01"},
        {"submittedAt": None},
        {"extra": 1},
        {"jobId": "x" * 33},
    ],
)
def test_a_wrong_answer_names_the_operation(change):
    with pytest.raises(ShapeError, match="answered StartDICOMImportJob against"):
        check_output("medical-imaging", "StartDICOMImportJob", ANSWER | change)


def test_the_model_is_read_once():
    assert service_model("medical-imaging") is service_model("medical-imaging")
