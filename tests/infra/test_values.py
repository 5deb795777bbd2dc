"""`isocenter-values`: outputs in, the chart's values out."""

import json

import boto3
import pytest
import yaml
from botocore.stub import Stubber
from isocenter_infra import values
from isocenter_infra.output_names import DATA_OUTPUTS
from isocenter_infra.permissions import ROLES
from isocenter_infra.statements import Principal

OUTPUTS = {name: f"value-of-{name}" for name in DATA_OUTPUTS}


@pytest.fixture
def run(tmp_path, capsys):
    def command(outputs, *options):
        file = tmp_path / "outputs.json"
        file.write_text(outputs if isinstance(outputs, str) else json.dumps(outputs))
        code = values.main(["--outputs-file", str(file), *options])
        out, err = capsys.readouterr()
        return code, out, err

    return command


def test_outputs_become_values(run):
    code, out, err = run({"IsocenterData": OUTPUTS})
    assert code == 0
    read = yaml.safe_load(out)
    assert read["platform"]["bucket"] == "value-of-ReceiveBucketName"
    assert read["images"] == {"registry": "value-of-ImageRegistry"}
    assert read["pipeline"]["enabled"] is True
    assert read["pipeline"]["trainRoleArn"] == "value-of-TrainingRoleArn"
    assert "ingress" not in read
    assert "no CertificateArn" in err


def test_account_numbers_stay_texts(run):
    _, out, _ = run({"IsocenterData": OUTPUTS | {"DatastoreId": "123456789012"}})
    assert 'datastore_id: "123456789012"' in out
    assert yaml.safe_load(out)["platform"]["datastore_id"] == "123456789012"


def test_a_certificate_brings_the_load_balancer(run):
    code, out, err = run({"IsocenterData": OUTPUTS | {"CertificateArn": "arn:c"}})
    ingress = yaml.safe_load(out)["ingress"]
    assert code == 0
    assert not err
    assert ingress["host"] == "value-of-Domain"
    assert ingress["alb"]["certificateArn"] == "arn:c"


def test_irsa_annotates_every_service_account(run):
    code, out, _ = run({"IsocenterData": OUTPUTS}, "--identity", "irsa")
    read = yaml.safe_load(out)
    assert code == 0
    pods = {name for name, role in ROLES.items() if role.principal is Principal.PODS}
    assert set(values.CHART_BLOCKS) == pods
    for component, block in values.CHART_BLOCKS.items():
        annotations = read[block]["serviceAccount"]["annotations"]
        expected = f"value-of-{values.role_output(component)}"
        assert annotations == {"eks.amazonaws.com/role-arn": expected}


def test_pod_identity_needs_no_annotation(run):
    _, out, _ = run({"IsocenterData": OUTPUTS})
    assert "serviceAccount" not in out


def test_every_missing_output_is_named(run):
    some = {k: v for k, v in OUTPUTS.items() if k not in {"QueueUrl", "UserPoolId"}}
    code, out, err = run({"IsocenterData": some | {"DatastoreId": ""}})
    assert (code, out) == (1, "")
    assert "outputs are missing: DatastoreId, QueueUrl, UserPoolId;" in err


def test_what_one_stack_makes_for_the_other_is_left_out():
    merged = values.merge(
        {"A": {"Region": "r", "ExportsOutputX": "1"}, "B": {"ExportsOutputX": "2"}}
    )
    assert merged == {"Region": "r"}


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an outputs file"),
        ('{"Region": "eu-west-1"}', "is not an outputs file"),
        ({"A": OUTPUTS, "B": {"Region": "other"}}, "Region of stack B differs"),
        ({}, "outputs are missing"),
    ],
)
def test_other_files_are_refused_in_one_sentence(run, outputs, text):
    code, out, err = run(outputs)
    assert (code, out) == (1, "")
    assert text in err
    assert err.count("\n") == 1


def test_a_file_that_is_not_there(capsys, tmp_path):
    assert values.main(["--outputs-file", str(tmp_path / "none.json")]) == 1
    assert "none.json can't be read: No such file" in capsys.readouterr().err


@pytest.fixture
def cloudformation():
    client = boto3.client(
        "cloudformation",
        region_name="eu-west-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    with Stubber(client) as stubber:
        yield client, stubber


def test_stacks_are_asked_for(cloudformation):
    client, stubber = cloudformation
    stubber.add_response(
        "describe_stacks",
        {
            "Stacks": [
                {
                    "StackName": "IsocenterData",
                    "CreationTime": "2026-11-23T00:00:00Z",
                    "StackStatus": "CREATE_COMPLETE",
                    "Outputs": [{"OutputKey": "Region", "OutputValue": "eu-west-1"}],
                }
            ]
        },
        {"StackName": "IsocenterData"},
    )
    found = values.ask(["IsocenterData"], client)
    assert found == {"IsocenterData": {"Region": "eu-west-1"}}


def test_a_stack_that_is_not_there_is_named(cloudformation):
    client, stubber = cloudformation
    stubber.add_client_error("describe_stacks", "ValidationError", "does not exist")
    with pytest.raises(
        values.OutputsError, match=r"stack Nothing can't be read: .*not"
    ):
        values.ask(["Nothing"], client)
