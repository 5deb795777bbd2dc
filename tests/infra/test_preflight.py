"""What is missing is said by name; AWS's answers are botocore's own shapes."""

import json

import boto3
import botocore.session
import pytest
from botocore.exceptions import NoCredentialsError
from botocore.stub import Stubber
from botocore.validate import validate_parameters
from infra.conftest import STACKS
from infra.policy_evaluation import allowed
from isocenter_infra import deploy_actions, deploy_actions_table, installed, preflight
from isocenter_infra.permissions import ROLES
from isocenter_infra.simulation import PreflightError, Question, Simulator, principal

ROLE = "arn:aws:iam::123456789012:role/path/deployer"


class Iam:
    """IAM and STS, with one answer for each simulation; asked is what was asked."""

    def __init__(self, denied=(), explicit=(), unknown=None):
        self.asked = []
        self._denied = set(denied)
        self._explicit = set(explicit)
        self._unknown = unknown or {}
        session = boto3.Session(
            aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-west-1"
        )
        self.client = session.client("iam")
        self.client.meta.events.register(
            "before-call.iam.SimulatePrincipalPolicy", self._answer
        )
        self.client.meta.events.register(
            "provide-client-params.iam.SimulatePrincipalPolicy", self._note
        )
        self._model = botocore.session.get_session().get_service_model("iam")

    def _note(self, params, **_):
        self.asked.append(params)

    def _answer(self, **_):
        asked = self.asked[-1]
        results = []
        for action in asked["ActionNames"]:
            decision = "allowed"
            if action in self._denied:
                decision = "implicitDeny"
            if action in self._explicit:
                decision = "explicitDeny"
            results.append(
                {
                    "EvalActionName": action,
                    "EvalDecision": decision,
                    "MissingContextValues": list(self._unknown.get(action, ())),
                    "ResourceSpecificResults": [
                        {
                            "EvalResourceName": resource,
                            "EvalResourceDecision": decision,
                            "MissingContextValues": list(self._unknown.get(action, ())),
                        }
                        for resource in asked["ResourceArns"]
                    ],
                }
            )
        answer = {"EvaluationResults": results, "IsTruncated": False}
        shape = self._model.operation_model("SimulatePrincipalPolicy").output_shape
        validate_parameters(answer, shape)
        return type("Http", (), {"status_code": 200, "headers": {}})(), answer


def denied(**options):
    iam = Iam(**options)
    found = Simulator(iam.client, ROLE).denied(
        [
            Question(
                ("s3:GetObject", "s3:PutObject"), ("arn:a", "arn:b"), {"aws:key": "v"}
            )
        ]
    )
    return iam, found


def test_what_is_allowed_is_not_named():
    iam, found = denied()
    assert found == []
    (asked,) = iam.asked
    assert asked["PolicySourceArn"] == ROLE
    assert asked["ResourceArns"] == ["arn:a", "arn:b"]
    assert asked["ContextEntries"] == [
        {
            "ContextKeyName": "aws:key",
            "ContextKeyValues": ["v"],
            "ContextKeyType": "string",
        }
    ]


def test_what_is_denied_is_named_once():
    _, found = denied(denied=["s3:PutObject"])
    assert [(each.action, each.resource) for each in found] == [
        ("s3:PutObject", "arn:a")
    ]


def test_a_deny_is_told_from_a_missing_allow():
    _, found = denied(explicit=["s3:PutObject"])
    assert found[0].explicit


def test_what_depends_on_the_request_is_said_so():
    _, found = denied(denied=["s3:GetObject"], unknown={"s3:GetObject": ["aws:x"]})
    assert found[0].unknown == ("aws:x",)


def test_many_actions_are_asked_in_batches():
    iam = Iam()
    actions = tuple(f"s3:Action{n}" for n in range(120))
    Simulator(iam.client, ROLE).denied([Question(actions)])
    assert [len(each["ActionNames"]) for each in iam.asked] == [50, 50, 20]


def errors(client, operation, code):
    stub = Stubber(client)
    stub.add_client_error(operation, code, "no")
    stub.activate()
    return stub


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("NoSuchEntity", f"there is no {ROLE}"),
        ("AccessDenied", "they need iam:SimulatePrincipalPolicy"),
        ("InvalidClientTokenId", "does not know these credentials"),
        ("ExpiredToken", "have expired: log in again"),
        ("Throttling", "could not ask AWS"),
    ],
)
def test_errors_are_one_sentence(code, words):
    client = boto3.client("iam", aws_access_key_id="a", aws_secret_access_key="b")
    errors(client, "simulate_principal_policy", code)
    with pytest.raises(PreflightError, match=words) as caught:
        Simulator(client, ROLE).denied([Question(("s3:GetObject",))])
    assert str(caught.value).count("\n") == 0
    assert str(caught.value).endswith(".")


def identity(arn, role=None):
    options = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    sts = boto3.client("sts", region_name="eu-west-1", **options)
    iam = boto3.client("iam", **options)
    stub = Stubber(sts)
    stub.add_response(
        "get_caller_identity", {"UserId": "u", "Account": "123456789012", "Arn": arn}
    )
    stub.activate()
    if role:
        stub = Stubber(iam)
        stub.add_response(
            "get_role",
            {
                "Role": {
                    "Path": "/path/",
                    "RoleName": "deployer",
                    "RoleId": "A" * 16,
                    "Arn": role,
                    "CreateDate": "2026-01-01T00:00:00Z",
                }
            },
            {"RoleName": "deployer"},
        )
        stub.activate()
    return principal(iam, sts)


def test_who_deploys():
    user = "arn:aws:iam::123456789012:user/somebody"
    assert identity(user) == user
    session = "arn:aws:sts::123456789012:assumed-role/deployer/me@example.org"
    assert identity(session, ROLE) == ROLE
    assert identity("arn:aws:iam::123456789012:root") is None


def test_no_credentials_is_one_sentence():
    class Sts:
        def get_caller_identity(self):
            raise NoCredentialsError

    with pytest.raises(PreflightError, match="there are no AWS credentials: set"):
        principal(None, Sts())


def test_every_type_of_the_stacks_is_known(templates):
    needed = deploy_actions.actions_needed(templates.values())
    assert {
        "eks:CreateCluster",
        "iam:CreateRole",
        "iam:PassRole",
        "kms:CreateKey",
        "medical-imaging:CreateDatastore",
        "s3:CreateBucket",
        "sqs:CreateQueue",
    } <= set(needed)
    assert needed["medical-imaging:CreateDatastore"] == [
        "AWS::HealthImaging::Datastore"
    ]
    assert "lambda:InvokeFunction" not in needed
    assert set(STACKS) == set(templates)


def test_an_unknown_type_is_named():
    template = {"Resources": {"a": {"Type": "AWS::Nothing::AtAll"}}}
    with pytest.raises(deploy_actions.UnknownTypeError, match="AWS::Nothing::AtAll"):
        deploy_actions.actions_needed([template])


def test_the_table_is_awss_own():
    assert deploy_actions_table.main(["--check"]) == 0


def test_a_deployer_who_may_everything(assembly):
    assert preflight.check_deployer(Iam().client, None, assembly, ROLE) == []


def test_a_deployer_who_lacks_something(assembly):
    iam = Iam(denied=["sqs:CreateQueue"], explicit=["eks:CreateCluster"])
    lines = preflight.check_deployer(iam.client, None, assembly, ROLE)
    text = "\n".join(lines)
    assert "  sqs:CreateQueue (AWS::SQS::Queue)" in lines
    assert "eks:CreateCluster [denied: take the Deny away" in text
    policy = json.loads(lines[-1])
    assert policy["Statement"][0]["Action"] == ["sqs:CreateQueue"]


def test_no_templates_is_one_sentence(tmp_path):
    with pytest.raises(PreflightError, match="run `cdk synth`"):
        preflight.check_deployer(Iam().client, None, tmp_path, ROLE)


def test_an_installed_platform_that_is_whole(outputs):
    iam = Iam()
    assert preflight.check_roles(iam.client, outputs) == []
    assert {each["PolicySourceArn"] for each in iam.asked} == {
        outputs[name] for name in installed.ROLE_OUTPUTS.values()
    }
    for each in iam.asked:
        for resource in each["ResourceArns"]:
            assert resource == "*" or (
                resource.startswith("arn:") and "*" not in resource
            )


def test_every_right_of_a_role_is_asked_for(outputs, role_statements):
    """What is asked is what the deployed policy allows, so that all is well."""
    known = installed.names(outputs)
    assert set(installed.ROLE_OUTPUTS) == set(ROLES)
    for role, output in installed.ROLE_OUTPUTS.items():
        statements = role_statements(output)
        questions = installed.questions(role, known)
        assert {a for q in questions for a in q.actions} == ROLES[role].actions
        for question in questions:
            for action in question.actions:
                for resource in question.resources:
                    assert allowed(statements, action, resource, question.context), (
                        f"{role}: {action} on {resource}"
                    )


def test_a_role_that_lacks_something_is_named(outputs):
    iam = Iam(denied=["sagemaker:StartPipelineExecution"])
    lines = preflight.check_roles(iam.client, outputs)
    assert lines[0].startswith(f"operator ({outputs['OperatorRoleArn']})")
    assert "sagemaker:StartPipelineExecution on arn:aws:sagemaker:" in lines[1]
    assert lines[-1].startswith("fix: deploy IsocenterData again")


def test_missing_outputs_are_all_named(outputs):
    few = {k: v for k, v in outputs.items() if k not in {"QueueArn", "KmsKeyArn"}}
    with pytest.raises(PreflightError, match="missing: KmsKeyArn, QueueArn;"):
        preflight.check_roles(Iam().client, few)


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ("eu-central-1", "HealthImaging is not in eu-central-1: use one of"),
        (None, "there is no region: set AWS_REGION"),
    ],
)
def test_the_region_comes_first(monkeypatch, capsys, region, words):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    if region:
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert preflight.main(["deploy"]) == 2
    assert words in capsys.readouterr().err


def test_the_command_says_what_is_missing(
    monkeypatch, capsys, assembly, outputs, tmp_path
):
    iam = Iam(denied=["sqs:CreateQueue", "sqs:DeleteMessage"])
    monkeypatch.setattr(preflight.simulation, "clients", lambda: (iam.client, None))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    asked = ["deploy", "--assembly", str(assembly), "--principal", ROLE]
    assert preflight.main(asked) == 1
    assert "sqs:CreateQueue" in capsys.readouterr().out
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({"IsocenterData": outputs}))
    assert preflight.main(["roles", "--outputs-file", str(file)]) == 1
    assert "intake (" in capsys.readouterr().out
