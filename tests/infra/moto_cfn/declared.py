"""Types that are only written down: what was declared is what a test looks at."""

import uuid
from typing import Any, ClassVar

from moto.core.common_models import CloudFormationModel


class Declared:
    """A resource with its physical id and attributes; a type derives from this and,
    directly, from moto's CloudFormationModel: moto looks no deeper for types.

    A type of which nothing more is known than its properties is kept as declared.
    """

    TYPE: ClassVar[str] = ""
    ATTRIBUTES: ClassVar[tuple[str, ...]] = ()
    NAMED_BY: ClassVar[str] = ""
    """The property that Ref gives; if none, an id of its own."""
    made: ClassVar[list["Declared"]] = []

    def __init__(self, physical_id, attributes, properties):
        self._id = physical_id
        self._attributes = attributes
        self.properties = properties
        self.made.append(self)

    @property
    def physical_resource_id(self):
        return self._id

    @staticmethod
    def cloudformation_name_type():
        return ""

    @classmethod
    def cloudformation_type(cls):
        return cls.TYPE

    @classmethod
    def has_cfn_attr(cls, attr):
        return attr in cls.ATTRIBUTES

    def get_cfn_attribute(self, name):
        return self._attributes[name]

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name, cloudformation_json, account_id, region_name, **_: Any
    ):
        properties = cloudformation_json.get("Properties", {})
        physical_id, attributes = cls.create(
            resource_name, properties, account_id, region_name
        )
        return cls(physical_id, attributes, properties)

    @classmethod
    def create(cls, name, properties, account_id, region):
        """Physical id and attributes of a new one."""
        made = str(properties.get(cls.NAMED_BY) or f"{name}-{uuid.uuid4().hex[:8]}")
        arn = f"arn:aws:{cls.TYPE.split('::')[1].lower()}:{region}:{account_id}:{made}"
        return made, {
            each: arn if each.endswith("Arn") else made for each in cls.ATTRIBUTES
        }

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, *_args, **_kwargs):
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(cls, *_args, **_kwargs):
        pass

    def delete(self, account_id, region_name):
        pass


def made(kind):
    """Properties of the resources of a type, by physical id."""
    return {
        each.physical_resource_id: each.properties
        for each in Declared.made
        if kind == each.TYPE
    }


class Alarm(Declared, CloudFormationModel):
    TYPE = "AWS::CloudWatch::Alarm"
    ATTRIBUTES = ("Arn",)
    NAMED_BY = "AlarmName"


class Budget(Declared, CloudFormationModel):
    TYPE = "AWS::Budgets::Budget"


class TopicPolicy(Declared, CloudFormationModel):
    TYPE = "AWS::SNS::TopicPolicy"


class Subscription(Declared, CloudFormationModel):
    TYPE = "AWS::SNS::Subscription"


class AccessEntry(Declared, CloudFormationModel):
    TYPE = "AWS::EKS::AccessEntry"
    ATTRIBUTES = ("AccessEntryArn",)


class Addon(Declared, CloudFormationModel):
    TYPE = "AWS::EKS::Addon"
    ATTRIBUTES = ("Arn",)


class PodIdentityAssociation(Declared, CloudFormationModel):
    TYPE = "AWS::EKS::PodIdentityAssociation"
    ATTRIBUTES = ("AssociationArn", "AssociationId")

    @classmethod
    def create(cls, name, properties, account_id, region):
        role = properties["RoleArn"]
        if not role.startswith(f"arn:aws:iam::{account_id}:role/"):
            raise ValueError(f"{name}: RoleArn is {role!r}, not a role's ARN")
        return super().create(name, properties, account_id, region)


class SecurityGroupEgress(Declared, CloudFormationModel):
    TYPE = "AWS::EC2::SecurityGroupEgress"
    ATTRIBUTES = ("Id",)
