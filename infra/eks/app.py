"""Entry of the CDK's command line, and of plain ``python app.py``."""  # noqa: INP001 - a script

import os
import sys

from isocenter_infra.app import add_stacks, new_app
from isocenter_infra.settings import SettingsError, load


def main() -> int:
    """Write the templates to ``cdk.out`` (or $CDK_OUTDIR); 1 if a setting is wrong."""
    environment = dict(os.environ)  # noqa: TID251 - the one place that reads it
    app = new_app(environment.get("CDK_OUTDIR", "cdk.out"))
    try:
        add_stacks(app, load(app.node.get_all_context(), environment))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
