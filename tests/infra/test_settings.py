"""Settings: what is refused, by name and with the fix."""
# ruff: noqa: E501 - a table with one case in a line

import re

import pytest
import yaml
from infra.conftest import ROOT, synthesize
from isocenter_infra.settings import VERSION, Settings, SettingsError, load

ENOUGH = {"region": "eu-west-1", "domain": "imaging.example.org"}
VPC = {
    "vpc_id": "vpc-0123456789abcdef0",
    "private_subnet_ids": "subnet-0123456789abcdef0, subnet-0123456789abcdef1",
}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"region": "eu-central-1"}, r"region: HealthImaging is not in 'eu-central-1': use one of us-east-1,"),
        ({"regoin": "eu-west-1"}, r"regoin is not a setting: did you mean region\?"),
        ({"colour": "red"}, r"colour is not a setting: take it out"),
        ({"domain": "imaging"}, r"domain='imaging' .*-c domain=<value>"),
        ({"domain": "https://imaging.example.org"}, r"domain='https"),
        ({"datastore_id": "abc"}, r"datastore_id='abc' .*-c datastore_id=<value> or DATASTORE_ID"),
        ({"pipeline_name": "My Pipeline"}, r"pipeline_name='My Pipeline' .*PIPELINE_NAME"),
        ({"kms_key_arn": "alias/images"}, r"kms_key_arn='alias/images'"),
        ({"kms_key_arn": "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"}, r"kms_key_arn is in us-east-1, and must be in eu-west-1"),
        ({"certificate_arn": "arn:aws:acm:us-east-1:111122223333:certificate/a"}, r"certificate_arn is in us-east-1"),
        ({"vpc_id": VPC["vpc_id"]}, r"vpc_id needs private_subnet_ids: two or more"),
        ({**VPC, "private_subnet_ids": "subnet-0123456789abcdef0"}, r"vpc_id needs private_subnet_ids"),
        ({"private_subnet_ids": VPC["private_subnet_ids"]}, r"private_subnet_ids needs vpc_id"),
        ({"private_route_table_ids": "rtb-01234567"}, r"private_route_table_ids needs vpc_id"),
        ({**VPC, "private_subnet_ids": "subnet-01234567,b"}, r"private_subnet_ids='b'"),
        ({"api_cidrs": "0.0.0.0/0"}, r"api_cidrs: '0\.0\.0\.0/0' is not a network"),
        ({"nat_gateways": "0"}, r"nat_gateways='0' .*greater than or equal to 1"),
        ({"log_retention_days": "10"}, r"log_retention_days: CloudWatch does not keep logs 10 days: use 1, 3"),
        ({"budget_usd": "100"}, r"budget_usd and budget_mail go together"),
        ({"budget_mail": "a@example.org"}, r"budget_usd and budget_mail go together"),
        ({"budget_usd": "-1", "budget_mail": "a@example.org"}, r"budget_usd='-1'"),
        ({"private_link": "maybe"}, r"private_link='maybe'"),
        ({"registry": "docker.io/me"}, r"registry='docker\.io/me'"),
        ({"namespace": "Isocenter"}, r"namespace='Isocenter'"),
        ({"name_prefix": "a" * 25}, r"name_prefix="),
        ({"admin_role_arn": "arn:aws:iam::111122223333:user/me"}, r"admin_role_arn="),
        ({"kubernetes_version": "1.19"}, r"kubernetes_version='1.19'"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_the_fix(wrong, text):
    with pytest.raises(SettingsError) as refused:
        load(ENOUGH | wrong, {})
    assert re.search(text, str(refused.value)), refused.value
    assert "\n" not in str(refused.value)


def test_missing_settings_are_all_named():
    with pytest.raises(SettingsError) as refused:
        load({}, {})
    region, domain = str(refused.value).split("\n")
    assert region.startswith("region is missing: set it with -c region=<value> or DEPL")
    assert domain.startswith("domain is missing: set it with -c domain=<value>")


def test_the_environment_has_three_and_context_wins():
    environment = {
        "DEPLOY_REGION": "us-west-2",
        "DATASTORE_ID": "0" * 32,
        "PIPELINE_NAME": "theirs",
        "HOME": "/nowhere",
    }
    settings = load({"domain": "a.example.org", "pipeline_name": "ours"}, environment)
    assert settings.region == "us-west-2"
    assert settings.datastore_id == "0" * 32
    assert settings.pipeline_name == "ours"


def test_empty_means_not_set():
    settings = load(ENOUGH | {"datastore_id": ""}, {"PIPELINE_NAME": ""})
    assert settings.datastore_id is None
    assert settings.pipeline_name == "ahi-mlops-pipeline"


def test_context_of_the_cdk_itself_is_not_ours():
    load(ENOUGH | {"aws:cdk:version-reporting": False, "@aws-cdk/core:x": True}, {})


def test_lists_have_commas():
    settings = load(ENOUGH | VPC | {"api_cidrs": "192.0.2.0/24,198.51.100.7/32"}, {})
    assert settings.api_cidrs == ("192.0.2.0/24", "198.51.100.7/32")
    assert len(settings.private_subnet_ids) == 2


def test_every_setting_says_what_it_is_for():
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_the_version_is_the_charts():
    chart = yaml.safe_load((ROOT / "charts/isocenter/Chart.yaml").read_text())
    assert chart["appVersion"] == VERSION


@pytest.mark.parametrize(
    ("context", "region", "text"),
    [
        ({"domain": "a.example.org"}, "eu-central-1", "HealthImaging is not in"),
        ({}, None, "region is missing"),
    ],
)
def test_a_wrong_setting_stops_the_synthesis(tmp_path, context, region, text):
    done = synthesize(tmp_path / "out", context, region)
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("out/*.template.json"))
