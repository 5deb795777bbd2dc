"""Least privilege by use: the calls that were recorded are the rights that are given.

tests/data/recorded_calls.json is written by tests/system from what devcloud was asked
by each component. "sometimes" are calls that a run need not bring about.
"""

import json
from importlib import resources

import pytest
from infra.conftest import ROOT
from isocenter_infra.permissions import ROLES

RECORD = json.loads((ROOT / "tests" / "data" / "recorded_calls.json").read_text())
ROLE_OF = {
    "isocenter-storescp": "storescp",
    "isocenter-tlm-proxy": "tlm-proxy",
    "isocenter-fetcher": "fetcher",
    "isocenter-operator": "operator",
    "isocenter-intake": "intake",
    "isocenter-pipeline": "pipeline",
    "isocenter-fetch-step": "processing",
    "isocenter-train-step": "training",
}
"""Application id -> role that its calls are made with."""
ACTION_OF = {
    # Service Authorization Reference, "Actions ... for Amazon S3"; S3 user guide,
    # "Required permissions for Amazon S3 API operations".
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    # HealthImaging developer guide, "Searching DICOM data": a search within a study,
    # or of all studies, is authorized as the search it is a form of.
    "medical-imaging:SearchDICOMStudyInstances": "medical-imaging:SearchDICOMInstances",
    "medical-imaging:SearchDICOMAllSeries": "medical-imaging:SearchDICOMSeries",
    "medical-imaging:SearchDICOMAllInstances": "medical-imaging:SearchDICOMInstances",
}
"""Calls whose action has another name; all others are authorized by their own."""
BY_AWS = {"import", "sagemaker"}
"""Roles that AWS itself works with: nothing of ours calls with them."""


def actions(application):
    record = RECORD.get(application, {"always": [], "sometimes": []})
    calls = record["always"] + record["sometimes"]
    return {ACTION_OF.get(call, call) for call in calls}


def test_every_application_has_a_role_and_every_role_an_application():
    assert set(RECORD) <= set(ROLE_OF)
    assert set(ROLE_OF.values()) | BY_AWS == set(ROLES)


@pytest.mark.parametrize("application", ROLE_OF)
def test_what_was_called_is_permitted(application):
    missing = actions(application) - ROLES[ROLE_OF[application]].actions
    assert not missing, f"{ROLE_OF[application]} needs {sorted(missing)}"


@pytest.mark.parametrize("application", ROLE_OF)
def test_what_is_permitted_was_called_or_has_a_reason(application):
    role = ROLES[ROLE_OF[application]]
    unused = role.actions - actions(application) - set(role.unseen)
    assert not unused, f"no call and no reason for {sorted(unused)}"
    assert all(len(reason) > 20 for reason in role.unseen.values())


@pytest.mark.parametrize("application", ROLE_OF)
def test_no_reason_is_left_for_what_is_always_called(application):
    record = RECORD.get(application, {"always": []})
    always = {ACTION_OF.get(call, call) for call in record["always"]}
    stale = always & set(ROLES[ROLE_OF[application]].unseen)
    assert not stale, f"{sorted(stale)} was called: take the reason away"


def test_every_action_is_one_that_iam_has():
    file = resources.files("cfnlint") / "data" / "AdditionalSpecs" / "Policies.json"
    services = json.loads(file.read_text())
    for action in {each for role in ROLES.values() for each in role.actions} | set(
        ACTION_OF.values()
    ):
        service, _, name = action.partition(":")
        assert name.lower() in services[service]["Actions"], action
