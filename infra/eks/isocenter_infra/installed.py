"""What the roles of an installed platform must be allowed: questions for IAM.

They come from the same table as the roles, with the names of the stacks' outputs.
"""

from collections.abc import Iterator, Mapping

from isocenter_infra.permissions import ROLES
from isocenter_infra.simulation import Question
from isocenter_infra.statements import Statement

ROLE_OUTPUTS: Mapping[str, str] = {
    "storescp": "StorescpRoleArn",
    "tlm-proxy": "TlmProxyRoleArn",
    "fetcher": "FetcherRoleArn",
    "operator": "OperatorRoleArn",
    "intake": "IntakeRoleArn",
    "pipeline": "PipelineRoleArn",
    "import": "ImportRoleArn",
    "sagemaker": "SageMakerRoleArn",
    "processing": "ProcessingRoleArn",
    "training": "TrainingRoleArn",
}
"""Role -> output that has its ARN."""
_NEEDED = (
    *("ReceiveBucketName", "DatastoreId", "QueueArn", "KmsKeyArn", "PipelineName"),
    *("FetcherImageUri", "TrainerImageUri", "Region", *ROLE_OUTPUTS.values()),
)
_ANY = "isocenter-preflight"
"""Stands for whatever a pattern matches: IAM is asked about one thing."""


class MissingOutputsError(ValueError):
    """Outputs that are needed and not there; the text names them."""


def names(outputs: Mapping[str, str]) -> dict[str, str]:
    """What the templates in ``permissions`` are filled in with.

    Raises:
        MissingOutputsError: naming every output that is not there.
    """
    missing = sorted(name for name in _NEEDED if not outputs.get(name))
    if missing:
        raise MissingOutputsError(
            f"outputs are missing: {', '.join(missing)}; deploy the stack "
            "IsocenterData of this version, and give its outputs"
        )
    partition, _, region, account = outputs["QueueArn"].split(":")[1:5]

    def arn(service: str, resource: str) -> str:
        return f"arn:{partition}:{service}:{region}:{account}:{resource}"

    return {
        "bucket": f"arn:{partition}:s3:::{outputs['ReceiveBucketName']}",
        "datastore": arn("medical-imaging", f"datastore/{outputs['DatastoreId']}"),
        "queue": outputs["QueueArn"],
        "key": outputs["KmsKeyArn"],
        "pipeline": arn("sagemaker", f"pipeline/{outputs['PipelineName']}"),
        "jobs": arn("sagemaker", "").rstrip(":"),
        "logs": arn("logs", "").rstrip(":"),
        "fetcher_repository": _repository(partition, outputs["FetcherImageUri"]),
        "trainer_repository": _repository(partition, outputs["TrainerImageUri"]),
        "region": region,
        "account": account,
        **{
            name: outputs[ROLE_OUTPUTS[name]]
            for name in ("import", "sagemaker", "processing", "training")
        },
    }


def questions(role: str, known: Mapping[str, str]) -> list[Question]:
    """All that a role is given, as questions.

    Args:
        role: a name of ``permissions.ROLES``.
        known: of `names`.
    """
    return [
        question
        for statement in ROLES[role].statements
        for question in _questions(statement, known)
    ]


def _questions(statement: Statement, known: Mapping[str, str]) -> Iterator[Question]:
    document = statement.render(known)
    context = {
        # Of several values each is enough, and one is what a request has.
        key: values[0].replace("*", _ANY)
        for keys in document.get("Condition", {}).values()
        for key, values in keys.items()
    }
    resources = tuple(
        each if each == "*" else each.replace("*", _ANY)
        for each in document["Resource"]
    )
    yield Question(tuple(document["Action"]), resources, context)


def _repository(partition: str, uri: str) -> str:
    """ARN of ``<account>.dkr.ecr.<region>.amazonaws.com/<name>``."""
    host, _, name = uri.partition("/")
    account, _, _, region = host.split(".")[:4]
    return f"arn:{partition}:ecr:{region}:{account}:repository/{name}"
