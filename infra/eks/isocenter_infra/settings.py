"""Everything that can be chosen: CDK context, and three environment variables.

``-c <field>=<value>`` (or a key of cdk.json's ``context``) sets a field; lists are
written with commas. ``DEPLOY_REGION``, ``DATASTORE_ID`` and ``PIPELINE_NAME`` are
environment variables of region, datastore_id and pipeline_name; context wins.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from isocenter_infra.regions import REGIONS

VERSION = "0.1.0"
"""Of the chart and the images that these stacks are for."""
ENVIRONMENT = {
    "DEPLOY_REGION": "region",
    "DATASTORE_ID": "datastore_id",
    "PIPELINE_NAME": "pipeline_name",
}
_ARN = r"arn:aws[a-z-]*:"


class SettingsError(ValueError):
    """A setting that can't be used; the text names it and says what to do."""


def _listed(value: object) -> object:
    """Commas between the items, as the command line gives a list."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


Listed = Annotated[tuple[str, ...], BeforeValidator(_listed)]


SubnetIds = Annotated[
    tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")], ...],
    BeforeValidator(_listed),
]
RouteTableIds = Annotated[
    tuple[Annotated[str, Field(pattern=r"^rtb-[0-9a-f]{8,17}$")], ...],
    BeforeValidator(_listed),
]


class Settings(BaseModel):
    """What the two stacks are told. Each field says what it is for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str = Field(
        description="Region of everything; HealthImaging must be there."
    )
    domain: str = Field(
        pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$",
        max_length=253,
        description="Host name of the viewer, such as imaging.example.org: the login "
        "returns to https://<domain>/callback.",
    )
    name_prefix: str = Field(
        default="isocenter",
        pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        max_length=24,
        description="First part of names; another one for a second platform in the "
        "same account and region.",
    )
    namespace: str = Field(
        default="isocenter",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="Kubernetes namespace of the chart's release.",
    )
    release: str = Field(
        default="isocenter",
        pattern=r"^[a-z]([a-z0-9-]{0,51}[a-z0-9])?$",
        description="Name of the chart's release: service accounts are "
        "<release>-<component>.",
    )
    datastore_id: str | None = Field(
        default=None,
        pattern=r"^[0-9a-z]{32}$",
        description="An existing HealthImaging data store; one is made without it.",
    )
    pipeline_name: str = Field(
        default="ahi-mlops-pipeline",
        pattern=r"^[a-z0-9](-*[a-z0-9]){0,255}$",
        description="Name of the SageMaker pipeline, in lower case as in its ARN.",
    )
    image_tag: str = Field(
        default=VERSION,
        pattern=r"^[\w][\w.-]{0,127}$",
        description="Tag of the images in CreatePipelineCommand.",
    )
    registry: str | None = Field(
        default=None,
        pattern=r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?(/[a-z0-9._/-]+)?$",
        description="An ECR registry that holds the images, as "
        "<account>.dkr.ecr.<region>.amazonaws.com[/path]; repositories are made in "
        "this account without it.",
    )
    kms_key_arn: str | None = Field(
        default=None,
        pattern=_ARN + r"kms:[a-z0-9-]+:\d{12}:key/"
        r"([0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|mrk-[0-9a-f]{32})$",
        description="An existing KMS key, whose policy has the statements that "
        "infra/eks/README.md lists; one is made without it.",
    )
    certificate_arn: str | None = Field(
        default=None,
        pattern=_ARN + r"acm:[a-z0-9-]+:\d{12}:certificate/[a-zA-Z0-9-]+$",
        description="ACM certificate of the domain, in the same region.",
    )
    vpc_id: str | None = Field(
        default=None,
        pattern=r"^vpc-[0-9a-f]{8,17}$",
        description="An existing VPC; one is made without it.",
    )
    private_subnet_ids: SubnetIds = Field(
        default=(),
        description="Its private subnets, two or more in different zones, tagged "
        "kubernetes.io/role/internal-elb=1.",
    )
    private_route_table_ids: RouteTableIds = Field(
        default=(),
        description="Their route tables, to make S3's gateway endpoint; none if the "
        "VPC has one.",
    )
    vpc_cidr: str = Field(
        default="10.20.0.0/16",
        pattern=r"^\d{1,3}(\.\d{1,3}){3}/(1[6-9]|2[0-2])$",
        description="Addresses of the VPC that is made.",
    )
    nat_gateways: int = Field(
        default=1, ge=1, le=2, description="NAT gateways of the VPC that is made."
    )
    private_link: bool = Field(
        default=False,
        description="Interface endpoints for the AWS services that pods call, each "
        "with a price an hour.",
    )
    kubernetes_version: str = Field(
        default="1.35",
        pattern=r"^1\.(3[2-9]|[4-9]\d)$",
        description="Kubernetes version of the EKS cluster.",
    )
    api_cidrs: Listed = Field(
        default=(),
        description="Networks that reach the cluster's API from outside the VPC; "
        "none if empty.",
    )
    admin_role_arn: str | None = Field(
        default=None,
        pattern=_ARN + r"iam::\d{12}:role/[\w+=,.@/-]+$",
        description="Role that administers the cluster with kubectl and helm; "
        "whoever deploys the stack without it.",
    )
    oidc_provider_arn: str | None = Field(
        default=None,
        pattern=_ARN + r"iam::\d{12}:oidc-provider/[\w./-]+$",
        description="IAM OIDC provider of an existing cluster: pod roles can then be "
        "taken by its service accounts as well (IRSA).",
    )
    dicom_retention_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="Days that received instances stay in S3 after HealthImaging has "
        "them too; 0 is for ever.",
    )
    runs_retention_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="Days that datasets and models of runs stay in S3; 0 is for ever.",
    )
    log_retention_days: int = Field(
        default=365, description="Days that logs are kept, as CloudWatch counts them."
    )
    sagemaker_log_groups: bool = Field(
        default=True,
        description="Make the log groups of SageMaker's jobs, which an account has "
        "once: false where they exist.",
    )
    alarm_mail: str | None = Field(
        default=None,
        pattern=r"^[^@\s,]+@[^@\s,]+\.[^@\s,]+$",
        description="Address that alarms are sent to, by an SNS topic.",
    )
    budget_usd: float | None = Field(
        default=None, gt=0, description="The account's budget a month, in US dollars."
    )
    budget_mail: str | None = Field(
        default=None,
        pattern=r"^[^@\s,]+@[^@\s,]+\.[^@\s,]+$",
        description="Address that is told when the budget is nearly spent.",
    )

    @field_validator("region")
    @classmethod
    def _has_healthimaging(cls, value: str) -> str:
        if value not in REGIONS:
            raise ValueError(
                f"HealthImaging is not in {value!r}: use one of {', '.join(REGIONS)}"
            )
        return value

    @field_validator("log_retention_days")
    @classmethod
    def _is_offered(cls, value: int) -> int:
        if value not in LOG_RETENTION_DAYS:
            offered = ", ".join(map(str, LOG_RETENTION_DAYS))
            raise ValueError(
                f"CloudWatch does not keep logs {value} days: use {offered}"
            )
        return value

    @field_validator("api_cidrs")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}/([89]|[12]\d|3[0-2])", each):
                raise ValueError(
                    f"{each!r} is not a network of /8 or less: write such as "
                    "203.0.113.7/32"
                )
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.vpc_id and len(self.private_subnet_ids) < 2:  # noqa: PLR2004 - EKS's own minimum
            raise ValueError(
                "vpc_id needs private_subnet_ids: two or more, in different zones"
            )
        if not self.vpc_id:
            for name in ("private_subnet_ids", "private_route_table_ids"):
                if getattr(self, name):
                    raise ValueError(f"{name} needs vpc_id, the VPC that they are in")
        if (self.budget_usd is None) != (self.budget_mail is None):
            raise ValueError(
                "budget_usd and budget_mail go together: set both, or neither"
            )
        for name in ("kms_key_arn", "certificate_arn"):
            arn = getattr(self, name)
            if arn and arn.split(":")[3] != self.region:
                raise ValueError(
                    f"{name} is in {arn.split(':')[3]}, and must be in {self.region}: "
                    "name one of that region"
                )
        return self


LOG_RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192,
    2557, 2922, 3288, 3653,
)  # fmt: skip
"""Source: CloudWatch Logs API, PutRetentionPolicy, retentionInDays."""


def load(context: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Settings from CDK's context and the process's environment.

    Args:
        context: of the app; CDK's own keys, which have a ``:`` or ``/``, are left out.
        environment: where ENVIRONMENT's variables are looked up; empty ones are
            not set.

    Raises:
        SettingsError: one sentence for each setting that can't be used.
    """
    given: dict[str, Any] = {
        name: environment[variable]
        for variable, name in ENVIRONMENT.items()
        if environment.get(variable)
    }
    given |= {k: v for k, v in context.items() if not re.search("[:/]", k) and v != ""}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError("\n".join(map(_sentence, error.errors()))) from None


def _sentence(error: Any) -> str:
    """One problem that pydantic found, with the setting's name and the fix."""
    name = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, Settings.model_fields, 1)
        fix = f"did you mean {near[0]}?" if near else "take it out of the context."
        return f"{name} is not a setting: {fix}"
    if error["type"] == "value_error":
        text = str(error["ctx"]["error"])
        return f"{name}: {text}." if name else f"{text}."
    field = Settings.model_fields[name]
    about = (field.description or "").rstrip(".")
    variable = {v: k for k, v in ENVIRONMENT.items()}.get(name)
    how = f"-c {name}=<value>" + (f" or {variable}" if variable else "")
    if error["type"] == "missing":
        return f"{name} is missing: set it with {how} ({about})."
    problem = (
        "does not have the form that is wanted"
        if error["type"] == "string_pattern_mismatch"
        else error["msg"][0].lower() + error["msg"][1:]
    )
    return f"{name}={error['input']!r} {problem}: correct {how} ({about})."
