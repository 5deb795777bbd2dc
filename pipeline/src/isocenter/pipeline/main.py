"""isocenter-pipeline: prints the default pipeline's definition, or deploys it.

Exit codes: ``isocenter.pipeline.exit_codes``.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from isocenter.core.errors import AwsError, ConfigurationError
from isocenter.pipeline.definition import PIPELINE_NAME, Security, StepOptions
from isocenter.pipeline.deployment import (
    Pipeline,
    get_pipeline,
    region_of_environment,
)
from isocenter.pipeline.exit_codes import CommandExit


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="isocenter-pipeline",
        description="Print or deploy the default SageMaker pipeline.",
    )
    top.add_argument(
        "--version", action="version", version=version("isocenter-pipeline")
    )
    commands = top.add_subparsers(dest="command", required=True)
    for name, text in (
        ("definition", "print the definition as JSON"),
        ("upsert", "create or update the pipeline, print its ARN"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        add = command.add_argument
        add("--role-arn", required=True, help="role of the pipeline and its jobs")
        add("--pipeline-name", default=PIPELINE_NAME, help="default: %(default)s")
        add("--fetcher-image-uri", required=True, help="image of FetchImageData")
        add(
            "--trainer-image-uri",
            help="image of TrainModel; default: the fetcher's with fetcher replaced "
            "by trainer in its last path element",
        )
        add("--default-bucket", required=True, help="bucket of manual starts")
        add(
            "--region",
            help="of the pipeline and of the data stores; default: the environment's",
        )
        add(
            "--hyperparameter",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="replaces one of the training step's; may be repeated",
        )
        for step in ("fetch", "train"):
            add(f"--{step}-instance-type", help="such as ml.m5.xlarge")
            add(f"--{step}-volume-gb", type=int, help="storage volume")
            add(f"--{step}-max-runtime", type=int, help="seconds")
            add(f"--{step}-role-arn", help="role of this step's jobs")
        add("--subnet", action="append", default=[], help="may be repeated")
        add("--security-group-id", action="append", default=[], help="may be repeated")
        add("--kms-key", help="key of the volumes and of what jobs write to S3")
        add(
            "--trainer-network",
            action="store_true",
            help="give the training container a network",
        )
    return top


def pipeline(arguments: argparse.Namespace) -> Pipeline:
    """The pipeline that the command line describes.

    Raises:
        ConfigurationError: naming the argument that is not usable.
    """
    given = vars(arguments)
    steps = {
        step: StepOptions(
            instance_type=given[f"{step}_instance_type"],
            volume_gb=given[f"{step}_volume_gb"],
            max_runtime_s=given[f"{step}_max_runtime"],
            role=given[f"{step}_role_arn"],
        )
        for step in ("fetch", "train")
    }
    return get_pipeline(
        role=arguments.role_arn,
        pipeline_name=arguments.pipeline_name,
        fetcher_image_uri=arguments.fetcher_image_uri,
        trainer_image_uri=arguments.trainer_image_uri,
        default_bucket=arguments.default_bucket,
        region=arguments.region or region_of_environment(),
        hyperparameters=dict(map(_pair, arguments.hyperparameter)),
        fetch=steps["fetch"],
        train=steps["train"],
        security=Security(
            subnets=tuple(arguments.subnet),
            security_group_ids=tuple(arguments.security_group_id),
            kms_key=arguments.kms_key,
            trainer_network_isolation=not arguments.trainer_network,
        ),
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigurationError(f"--hyperparameter {text!r} is not NAME=VALUE")
    return name, value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = parser().parse_args(argv)
    try:
        described = pipeline(arguments)
        if arguments.command == "definition":
            sys.stdout.write(described.definition() + "\n")
        else:
            sys.stdout.write(described.upsert(arguments.role_arn) + "\n")
    except ConfigurationError as error:
        sys.stderr.write(f"isocenter-pipeline: {error}\n")
        return CommandExit.USAGE
    except AwsError as error:
        sys.stderr.write(f"isocenter-pipeline: {error}\n")
        return CommandExit.AWS
    return CommandExit.DONE


if __name__ == "__main__":
    sys.exit(main())
