"""Where moto's own types differ from CloudFormation, put right."""

import json

from moto.iam.models import Role
from moto.kms.models import Key


def _as_kms_has_it(create):
    """CloudFormation's tags are Key and Value, KMS's TagKey and TagValue; its policy is
    an object, KMS's a text.
    """

    def made(resource_name, cloudformation_json, account_id, region_name, **options):
        properties = dict(cloudformation_json["Properties"])
        properties["Tags"] = [
            {"TagKey": tag["Key"], "TagValue": tag["Value"]}
            for tag in properties.get("Tags", ())
        ]
        properties["KeyPolicy"] = json.dumps(properties["KeyPolicy"])
        return create(
            resource_name,
            {**cloudformation_json, "Properties": properties},
            account_id,
            region_name,
            **options,
        )

    return made


Key.create_from_cloudformation_json = _as_kms_has_it(
    Key.create_from_cloudformation_json
)


def _with_policies_as_text(create):
    """IAM keeps documents as JSON; moto keeps an inline policy's as it was given."""

    def made(resource_name, cloudformation_json, account_id, region_name, **options):
        properties = dict(cloudformation_json["Properties"])
        properties["Policies"] = [
            {**policy, "PolicyDocument": json.dumps(policy["PolicyDocument"])}
            for policy in properties.get("Policies", ())
        ]
        return create(
            resource_name,
            {**cloudformation_json, "Properties": properties},
            account_id,
            region_name,
            **options,
        )

    return made


Role.create_from_cloudformation_json = _with_policies_as_text(
    Role.create_from_cloudformation_json
)
