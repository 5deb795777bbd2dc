"""IsocenterData: what it makes, for an account of its own and for one that has much."""

import functools
import json
import subprocess

import pytest
import yaml
from aws_cdk.assertions import Match, Template
from infra.conftest import ROOT
from isocenter_infra.app import add_stacks, new_app
from isocenter_infra.names import COMPONENTS
from isocenter_infra.output_names import CERTIFICATE_OUTPUT, DATA_OUTPUTS
from isocenter_infra.permissions import ROLES
from isocenter_infra.settings import load

NAME = "IsocenterData"
INLINE_LIMIT = 51_200
SUBNETS = [f"subnet-{digit * 8}" for digit in "123"]
EXISTING = {
    "domain": "imaging.example.org",
    "datastore_id": "0123456789abcdef0123456789abcdef",
    "kms_key_arn": "arn:aws:kms:eu-west-1:111122223333:key/"
    "01234567-89ab-cdef-0123-456789abcdef",
    "registry": "111122223333.dkr.ecr.us-east-1.amazonaws.com/mirror",
    "sagemaker_log_groups": "false",
    "vpc_id": "vpc-12345678",
    "private_subnet_ids": ",".join(SUBNETS),
    "private_route_table_ids": "rtb-11111111",
    "private_link": "true",
    "admin_role_arn": "arn:aws:iam::111122223333:role/Admin",
    "api_cidrs": "203.0.113.7/32",
    "kubernetes_version": "1.36",
}
EVERYTHING = {
    "domain": "imaging.example.org",
    "name_prefix": "clinic-a",
    "namespace": "imaging",
    "release": "iso",
    "alarm_mail": "ops@example.org",
    "budget_usd": "500",
    "budget_mail": "money@example.org",
    "certificate_arn": "arn:aws:acm:eu-west-1:111122223333:certificate/01234567-89ab",
    "dicom_retention_days": "30",
    "runs_retention_days": "90",
    "oidc_provider_arn": "arn:aws:iam::111122223333:oidc-provider/"
    "oidc.eks.eu-west-1.amazonaws.com/id/ABC",
}


@functools.cache
def synthesized(context):
    """Templates by the kind of stack; in this process, where the CDK is loaded."""
    app = new_app()
    stacks = add_stacks(app, load(dict(context), {"DEPLOY_REGION": "eu-west-1"}))
    assembly = app.synth()
    return [assembly.get_stack_by_name(stack.stack_name).template for stack in stacks]


@pytest.fixture(scope="module")
def raw(templates):
    return templates[NAME]


@pytest.fixture(scope="module")
def template(raw):
    return Template.from_json(raw)


@pytest.fixture(scope="module")
def existing():
    return synthesized(tuple(EXISTING.items()))[0]


@pytest.fixture(scope="module")
def everything():
    return synthesized(tuple(EVERYTHING.items()))[0]


def of_type(template, kind):
    return [
        r["Properties"] for r in template["Resources"].values() if r["Type"] == kind
    ]


def flat(value):
    """A value as one text: intrinsics by the name that they refer to."""
    if isinstance(value, dict):
        ((function, argument),) = value.items()
        if function == "Fn::Join":
            return argument[0].join(map(flat, argument[1]))
        if function == "Fn::GetAtt":
            return f"<{argument[0]}.{argument[1]}>"
        return f"<{argument}>"
    return value


def test_golden(raw, golden):
    golden(NAME, raw)


def test_the_outputs_are_the_contract(raw, everything):
    ours = {name for name in raw["Outputs"] if not name.startswith("ExportsOutput")}
    assert ours == set(DATA_OUTPUTS)
    assert CERTIFICATE_OUTPUT in everything["Outputs"]


def test_everything_at_once_fits_without_a_bucket(everything):
    assert len(json.dumps(everything, separators=(",", ":"))) < INLINE_LIMIT


def test_the_bucket_keeps_what_it_is_given(template):
    template.has_resource_properties(
        "AWS::S3::Bucket",
        {
            "NotificationConfiguration": {
                "EventBridgeConfiguration": {"EventBridgeEnabled": True}
            },
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {
                        "BucketKeyEnabled": True,
                        "ServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": Match.any_value(),
                        },
                    }
                ]
            },
            "VersioningConfiguration": {"Status": "Enabled"},
            "LoggingConfiguration": Match.any_value(),
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
        },
    )


def test_every_bucket_and_queue_speaks_tls_only(raw):
    policies = of_type(raw, "AWS::S3::BucketPolicy") + of_type(
        raw, "AWS::SQS::QueuePolicy"
    )
    assert len(policies) == 4
    for policy in policies:
        denied = [
            each["Condition"]
            for each in policy["PolicyDocument"]["Statement"]
            if each["Effect"] == "Deny"
        ]
        assert {"Bool": {"aws:SecureTransport": "false"}} in denied


def test_nothing_expires_unless_it_is_asked_for(raw, everything):
    def expiring(template):
        return {
            rule["Prefix"]: rule["ExpirationInDays"]
            for bucket in of_type(template, "AWS::S3::Bucket")
            for rule in bucket["LifecycleConfiguration"]["Rules"]
            if "Prefix" in rule
        }

    assert expiring(raw) == {}
    assert expiring(everything) == {"DICOM/": 30, "runs/": 90}


def test_rules_hear_of_this_platform_only(raw):
    found = {r["Name"]: r for r in of_type(raw, "AWS::Events::Rule")}
    details = {name: r["EventPattern"]["detail"] for name, r in found.items()}
    assert set(found) == {
        "ahi-imageset-created-trigger",
        "ahi-import-job-ended",
        "s3-batch-sealed",
        "sagemaker-pipeline-status",
    }
    store = [{"Fn::GetAtt": ["Datastore", "DatastoreId"]}]
    assert details["ahi-imageset-created-trigger"] == {"datastoreId": store}
    assert details["ahi-import-job-ended"] == {"datastoreId": store}
    assert details["s3-batch-sealed"]["object"] == {"key": [{"prefix": "batches/"}]}
    pipeline = flat(details["sagemaker-pipeline-status"]["pipelineArn"][0])
    assert pipeline.endswith(":pipeline/ahi-mlops-pipeline")
    for rule in found.values():
        (target,) = rule["Targets"]
        assert target["DeadLetterConfig"]["Arn"] != target["Arn"]


def test_rules_send_what_the_local_cloud_sends(raw):
    """devcloud's account is what the product is tested with: the same events."""
    seed = yaml.safe_load((ROOT / "charts/devcloud/values.yaml").read_text())["seed"]
    local = {
        call["parameters"]["Name"]: json.loads(call["parameters"]["EventPattern"])
        for call in seed
        if call["operation"] == "PutRule"
    }
    here = {r["Name"]: r["EventPattern"] for r in of_type(raw, "AWS::Events::Rule")}
    assert set(local) == set(here)
    for name, pattern in local.items():
        assert here[name]["source"] == pattern["source"]
        assert here[name]["detail-type"] == pattern["detail-type"]


def test_queues_take_these_rules_events_and_no_others(raw):
    rules = {
        f"arn:aws:events:eu-west-1:<AWS::AccountId>:rule/{r['Name']}"
        for r in of_type(raw, "AWS::Events::Rule")
    }
    policies = of_type(raw, "AWS::SQS::QueuePolicy")
    for policy in policies:
        (allowed,) = (
            s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"
        )
        assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
        assert allowed["Action"] == "sqs:SendMessage"
        sources = allowed["Condition"]["ArnEquals"]["aws:SourceArn"]
        assert set(map(flat, sources)) == rules


def test_the_key_serves_services_under_conditions_only(raw):
    (key,) = of_type(raw, "AWS::KMS::Key")
    statements = key["KeyPolicy"]["Statement"]
    services = {
        s["Principal"]["Service"]: s for s in statements if "Service" in s["Principal"]
    }
    assert set(services) == {
        "logs.eu-west-1.amazonaws.com",
        "events.amazonaws.com",
        "medical-imaging.amazonaws.com",
    }
    for statement in services.values():
        assert statement["Condition"]
        assert not [a for a in statement["Action"] if "*" in a]
    assert key["EnableKeyRotation"] is True


def test_roles_are_those_of_the_table_and_taken_by_one_each(raw):
    roles = {
        name: resource["Properties"]
        for name, resource in raw["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
    }
    assert len(roles) == len(ROLES)
    for name, permissions in ROLES.items():
        logical = "Role" + "".join(p.capitalize() for p in name.split("-"))
        (trust,) = roles[logical]["AssumeRolePolicyDocument"]["Statement"]
        equal = trust["Condition"]["StringEquals"]
        assert trust["Principal"] == {"Service": permissions.principal.value}
        assert equal["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
        assert "ManagedPolicyArns" not in roles[logical]
        (policy,) = roles[logical]["Policies"]
        actions = {
            a for s in policy["PolicyDocument"]["Statement"] for a in s["Action"]
        }
        assert actions == permissions.actions
        if permissions.principal == "pods.eks.amazonaws.com":
            assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
            assert equal["aws:RequestTag/eks-cluster-name"] == "isocenter"
            assert equal["aws:RequestTag/kubernetes-namespace"] == "isocenter"
            account = equal["aws:RequestTag/kubernetes-service-account"]
            assert account == f"isocenter-{name}"


def test_wildcards_stand_only_where_aws_knows_no_resource():
    for name, permissions in ROLES.items():
        for statement in permissions.statements:
            assert not [a for a in statement.actions if "*" in a], name
            if "*" in statement.resources:
                assert set(statement.actions) <= {
                    "ecr:GetAuthorizationToken",
                    "cloudwatch:PutMetricData",
                }, name


def test_irsa_is_for_the_named_cluster_and_account(everything):
    role = everything["Resources"]["RoleStorescp"]["Properties"]
    _, irsa = role["AssumeRolePolicyDocument"]["Statement"]
    issuer = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"
    assert irsa["Condition"]["StringEquals"] == {
        f"{issuer}:aud": "sts.amazonaws.com",
        f"{issuer}:sub": "system:serviceaccount:imaging:iso-storescp",
    }


def test_what_exists_is_used_and_not_made(existing):
    kinds = {r["Type"] for r in existing["Resources"].values()}
    assert not kinds & {
        "AWS::KMS::Key",
        "AWS::ECR::Repository",
        "AWS::HealthImaging::Datastore",
        "AWS::Logs::LogGroup",
        "AWS::SNS::Topic",
        "AWS::Budgets::Budget",
    }
    outputs = {k: flat(v["Value"]) for k, v in existing["Outputs"].items()}
    assert outputs["DatastoreId"] == EXISTING["datastore_id"]
    assert outputs["KmsKeyArn"] == EXISTING["kms_key_arn"]
    assert outputs["ImageRegistry"] == EXISTING["registry"]
    assert outputs["ViewerImageUri"] == f"{EXISTING['registry']}/isocenter/viewer"
    pulls = existing["Resources"]["RoleTraining"]["Properties"]["Policies"][0]
    assert (
        "arn:aws:ecr:us-east-1:111122223333:repository/mirror/isocenter/trainer"
        in json.dumps(pulls)
    )


def test_repositories_are_those_that_the_chart_pulls(raw, everything):
    names = {r["RepositoryName"] for r in of_type(raw, "AWS::ECR::Repository")}
    assert names == set(COMPONENTS.values())
    names = {r["RepositoryName"] for r in of_type(everything, "AWS::ECR::Repository")}
    assert names == {f"clinic-a/{each}" for each in COMPONENTS.values()}
    registry = flat(everything["Outputs"]["ImageRegistry"]["Value"])
    assert registry == "<AWS::AccountId>.dkr.ecr.eu-west-1.amazonaws.com/clinic-a"


def test_a_second_platform_has_names_of_its_own(raw, everything):
    def names(template):
        return {
            each[key]
            for kind, key in (
                ("AWS::Events::Rule", "Name"),
                ("AWS::SQS::Queue", "QueueName"),
                ("AWS::ECR::Repository", "RepositoryName"),
                ("AWS::KMS::Alias", "AliasName"),
                ("AWS::CloudWatch::Alarm", "AlarmName"),
            )
            for each in of_type(template, kind)
        }

    assert names(raw)
    assert not names(raw) & names(everything)


def test_alarms_watch_every_step_and_tell(raw, everything):
    rules = {r["Name"] for r in of_type(raw, "AWS::Events::Rule")}
    watched = {}
    for alarm in of_type(raw, "AWS::CloudWatch::Alarm"):
        (dimension,) = alarm["Dimensions"]
        watched.setdefault(alarm["MetricName"], []).append(dimension["Value"])
    assert set(watched["FailedInvocations"]) == rules
    assert len(watched["ApproximateNumberOfMessagesVisible"]) == 1
    assert len(watched["ApproximateAgeOfOldestMessage"]) == 1
    for alarm in of_type(everything, "AWS::CloudWatch::Alarm"):
        assert len(alarm["AlarmActions"]) == 1
    (mail,) = of_type(everything, "AWS::SNS::Subscription")
    assert mail["Endpoint"] == "ops@example.org"


def test_the_budget_has_its_limit_and_is_mailed(everything):
    (budget,) = of_type(everything, "AWS::Budgets::Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 500, "Unit": "USD"}
    assert [
        (n["Notification"]["NotificationType"], n["Notification"]["Threshold"])
        for n in budget["NotificationsWithSubscribers"]
    ] == [("ACTUAL", 80), ("FORECASTED", 100)]


def test_users_have_two_factors_and_the_viewer_no_secret(template):
    template.has_resource_properties(
        "AWS::Cognito::UserPool",
        {
            "MfaConfiguration": "ON",
            "EnabledMfas": ["SOFTWARE_TOKEN_MFA"],
            "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True},
        },
    )
    template.has_resource_properties(
        "AWS::Cognito::UserPoolClient",
        {
            "GenerateSecret": False,
            "AllowedOAuthFlows": ["code"],
            "AllowedOAuthScopes": ["openid", "profile", "email"],
            "CallbackURLs": ["https://imaging.example.org/callback"],
        },
    )


def test_the_pipeline_command_is_one_that_the_command_takes(raw):
    """The real command line, with ``definition`` (which calls nothing) for upsert."""
    command = flat(raw["Outputs"]["CreatePipelineCommand"]["Value"])
    for name, text in {
        "<AWS::AccountId>": "111122223333",
        "<RoleSagemaker.Arn>": "arn:aws:iam::111122223333:role/sagemaker",
        "<RoleProcessing.Arn>": "arn:aws:iam::111122223333:role/processing",
        "<RoleTraining.Arn>": "arn:aws:iam::111122223333:role/training",
        "<Bucket83908E77>": "isocenter-111122223333",
        "<Key961B73FD.Arn>": EXISTING["kms_key_arn"],
    }.items():
        command = command.replace(name, text)
    program, verb, *options = command.split()
    assert verb == "upsert"
    done = subprocess.run(
        [str(ROOT / ".venv/bin" / program), "definition", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    steps = {s["Name"]: s["Arguments"] for s in json.loads(done.stdout)["Steps"]}
    assert steps["FetchImageData"]["RoleArn"].endswith("role/processing")
    assert steps["TrainModel"]["RoleArn"].endswith("role/training")
    assert (
        steps["TrainModel"]["OutputDataConfig"]["KmsKeyId"] == EXISTING["kms_key_arn"]
    )
