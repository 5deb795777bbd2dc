"""`python nag.py FOLDER`: the stacks with cdk-nag's rules; the report stays.

A process of its own, because a rule that is broken ends the synthesis with an error.
"""

import sys

from aws_cdk import Validations
from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks
from isocenter_infra.app import add_stacks, new_app
from isocenter_infra.settings import load

SETTINGS = {
    "region": "eu-west-1",
    "domain": "imaging.example.org",
    "private_link": "true",
    "alarm_mail": "ops@example.org",
    "budget_usd": "500",
    "budget_mail": "ops@example.org",
}
"""What makes the most resources."""


def main() -> None:
    app = new_app(sys.argv[1])
    add_stacks(app, load(SETTINGS, {}))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), HIPAASecurityChecks(app))
    app.synth()


if __name__ == "__main__":
    main()
