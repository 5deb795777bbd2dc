"""The outputs as CloudFormation has them, with stable ids."""

from collections.abc import Mapping

from aws_cdk import CfnOutput, Stack


def write_outputs(
    stack: Stack, described: Mapping[str, str], values: Mapping[str, str]
) -> None:
    """One CfnOutput each, with stable ids: all that are described, and no other.

    Raises:
        ValueError: an output is missing, or is not described.
    """
    if set(described) != set(values):
        raise ValueError(f"outputs differ: {sorted(set(described) ^ set(values))}")
    for name, description in described.items():
        CfnOutput(stack, name, value=values[name], description=description)
