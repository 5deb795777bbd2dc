"""CloudFormation types that moto lacks, so that the stacks deploy unmodified.

Import it before the first stack is made: moto finds types as subclasses, once.
"""

from infra.moto_cfn import corrections, declared, extra_types

__all__ = ["corrections", "declared", "extra_types"]
