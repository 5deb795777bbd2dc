"""Names that are more than CloudFormation's own, and the ARNs made of them."""

from aws_cdk import Stack

from isocenter_infra.settings import Settings

COMPONENTS = {
    "storescp": "isocenter/storescp",
    "tlm-proxy": "isocenter/tlm-proxy",
    "viewer": "isocenter/viewer",
    "fetcher": "isocenter/fetcher",
    "operator": "isocenter/operator",
    "trainer": "isocenter/trainer",
}
"""Image -> its repository below the registry, as in the chart's values."""
IMAGE_SET_RULE = "ahi-imageset-created-trigger"
DEFAULT_PREFIX = "isocenter"


def rule_name(settings: Settings, name: str) -> str:
    """A rule's name: as it is for the default prefix, else with the prefix."""
    if settings.name_prefix == DEFAULT_PREFIX:
        return name
    return f"{settings.name_prefix}-{name}"


def service_account(settings: Settings, component: str) -> str:
    """A component's service account, as the chart names it."""
    return f"{settings.release}-{component}"


def arn(stack: Stack, service: str, resource: str, *, region: str | None = None) -> str:
    """``arn:<partition>:<service>:<region>:<account>:<resource>`` in this account."""
    where = stack.region if region is None else region
    return f"arn:{stack.partition}:{service}:{where}:{stack.account}:{resource}"


def pascal(name: str) -> str:
    """``tlm-proxy`` as in ids of the CDK and outputs: ``TlmProxy``."""
    return "".join(part.capitalize() for part in name.split("-"))
