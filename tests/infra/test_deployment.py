"""Both templates are deployable as they are, and what is deployed fits together."""

import json

from infra.moto_cfn.declared import made
from moto.cloudformation.parsing import resource_class_from_type

INLINE_LIMIT = 51_200
"""Bytes that CloudFormation takes without a bucket."""


def test_nothing_is_left_out(templates):
    kinds = {
        resource["Type"]
        for template in templates.values()
        for resource in template["Resources"].values()
    }
    # moto says CREATE_COMPLETE also of what it does not know.
    unknown = {kind for kind in kinds if resource_class_from_type(kind) is None}
    assert not unknown, f"teach tests/infra/moto_cfn {sorted(unknown)}"


def test_templates_need_no_bucket_nor_bootstrap(assembly, templates):
    for name, template in templates.items():
        size = (assembly / f"{name}.template.json").stat().st_size
        assert size < INLINE_LIMIT, f"{name}: {size} bytes"
        assert not template.get("Parameters")
        assert not template.get("Rules")
    assert not [each for each in assembly.iterdir() if each.name.startswith("asset.")]


def test_nothing_runs_code_of_its_own(templates):
    for template in templates.values():
        for name, resource in template["Resources"].items():
            assert not resource["Type"].startswith(("AWS::Lambda", "Custom::")), name
            assert resource["Type"] != "AWS::CloudFormation::CustomResource", name


def test_pods_take_the_roles_of_their_service_accounts(outputs):
    associations = made("AWS::EKS::PodIdentityAssociation").values()
    found = {each["ServiceAccount"]: each["RoleArn"] for each in associations}
    assert found == {
        "isocenter-storescp": outputs["StorescpRoleArn"],
        "isocenter-tlm-proxy": outputs["TlmProxyRoleArn"],
        "isocenter-fetcher": outputs["FetcherRoleArn"],
        "isocenter-operator": outputs["OperatorRoleArn"],
        "isocenter-intake": outputs["IntakeRoleArn"],
        "isocenter-pipeline": outputs["PipelineRoleArn"],
    }
    for each in associations:
        assert each["Namespace"] == outputs["Namespace"]
        assert each["ClusterName"] == outputs["ClusterName"]


def test_the_viewer_logs_in_without_a_secret(deployed, outputs):
    client = deployed.client("cognito-idp").describe_user_pool_client(
        UserPoolId=outputs["UserPoolId"], ClientId=outputs["UserPoolClientId"]
    )["UserPoolClient"]
    assert "ClientSecret" not in client
    assert client["AllowedOAuthFlows"] == ["code"]
    assert f"https://{outputs['Domain']}/callback" in client["CallbackURLs"]


def test_what_holds_data_stays(templates):
    stays = {
        "AWS::HealthImaging::Datastore",
        "AWS::S3::Bucket",
        "AWS::KMS::Key",
        "AWS::Cognito::UserPool",
    }
    for template in templates.values():
        for name, resource in template["Resources"].items():
            if resource["Type"] in stays:
                assert resource["DeletionPolicy"] == "Retain", name
                assert resource["UpdateReplacePolicy"] == "Retain", name


def test_images_stay_what_they_are(templates, deployed, outputs):
    images = {value for name, value in outputs.items() if name.endswith("ImageUri")}
    assert {each.rpartition("/")[2] for each in images} == {
        *("storescp", "tlm-proxy", "viewer", "fetcher", "operator", "trainer")
    }
    made = deployed.client("ecr").describe_repositories()["repositories"]
    assert images == {each["repositoryUri"] for each in made}
    for resource in templates["IsocenterData"]["Resources"].values():
        if resource["Type"] == "AWS::ECR::Repository":
            properties = resource["Properties"]
            assert properties["ImageTagMutability"] == "IMMUTABLE"
            assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_the_pipeline_has_one_owner(templates, outputs):
    kinds = {
        each["Type"]
        for template in templates.values()
        for each in template["Resources"].values()
    }
    assert "AWS::SageMaker::Pipeline" not in kinds
    command = outputs["CreatePipelineCommand"]
    assert "\n" not in command
    assert outputs["PipelineName"] in command
    json.dumps(command)
