"""What IAM says a principal may do: iam:SimulatePrincipalPolicy, asked in batches.

The simulation reads identity policies, boundaries and the organisation's service
control policies; it does not read the policies of buckets, queues or keys.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

_BATCH = 50
"""Actions asked about in one request."""
_SENTENCES = {
    "ExpiredToken": "AWS's credentials have expired: log in again",
    "ExpiredTokenException": "AWS's credentials have expired: log in again",
    "InvalidClientTokenId": "AWS does not know these credentials: check "
    "AWS_PROFILE or AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "AWS refuses these credentials: check "
    "AWS_SECRET_ACCESS_KEY and this machine's clock",
    "UnrecognizedClientException": "AWS does not know these credentials: check "
    "AWS_PROFILE or AWS_ACCESS_KEY_ID",
}


class PreflightError(Exception):
    """The check itself could not be made; the text says why and what to do."""


@dataclass(frozen=True)
class Question:
    """May these actions be done on these resources?

    Attributes:
        actions: as IAM spells them.
        resources: ARNs, or "*".
        context: condition keys and the value each has in the request.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Denied:
    """An action that is not allowed.

    Attributes:
        action: as asked.
        resource: the first ARN that it is not allowed on, or "*".
        explicit: a Deny statement says so; no Allow helps.
        unknown: condition keys that decide it and had no value here: it may be
            allowed in a real request.
    """

    action: str
    resource: str
    explicit: bool = False
    unknown: tuple[str, ...] = ()


class Simulator:
    """IAM's simulation of one principal.

    Args:
        iam: boto3 client of iam.
        principal: ARN of the user or role.
    """

    def __init__(self, iam: Any, principal: str) -> None:
        self._iam = iam
        self._principal = principal

    def denied(self, questions: Sequence[Question]) -> list[Denied]:
        """What of the questions is not allowed, in order, each once.

        Raises:
            PreflightError: IAM can't be asked.
        """
        found: dict[tuple[str, str], Denied] = {}
        for question in questions:
            for result in self._results(question):
                for each in _denied(result):
                    found.setdefault((each.action, each.resource), each)
        return sorted(found.values())

    def _results(self, question: Question) -> Iterator[Mapping[str, Any]]:
        entries = [
            {
                "ContextKeyName": key,
                "ContextKeyValues": [value],
                "ContextKeyType": "string",
            }
            for key, value in sorted(question.context.items())
        ]
        pages = self._iam.get_paginator("simulate_principal_policy")
        for start in range(0, len(question.actions), _BATCH):
            with asking(f"what {self._principal} may do", self._principal):
                for page in pages.paginate(
                    PolicySourceArn=self._principal,
                    ActionNames=list(question.actions[start : start + _BATCH]),
                    ResourceArns=list(question.resources),
                    ContextEntries=entries,
                ):
                    yield from page["EvaluationResults"]


def _denied(result: Mapping[str, Any]) -> Iterator[Denied]:
    """Of one result: IAM gives one for an action, with the resources below it.

    The result of the whole is that of the most restricted resource.
    """
    action = str(result["EvalActionName"])
    parts = [
        (part["EvalResourceName"], part["EvalResourceDecision"], part)
        for part in result.get("ResourceSpecificResults", ())
    ] or [(result.get("EvalResourceName", "*"), result["EvalDecision"], result)]
    for resource, decision, part in parts:
        if decision != "allowed":
            unknown = part.get("MissingContextValues") or ()
            explicit = decision == "explicitDeny"
            yield Denied(
                action, str(resource), explicit, tuple(sorted(map(str, unknown)))
            )
            return


@contextmanager
def asking(what: str, principal: str = "") -> Iterator[None]:
    """Turns botocore's errors into one sentence.

    Raises:
        PreflightError: in place of ClientError and BotoCoreError.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _SENTENCES:
            raise PreflightError(f"{_SENTENCES[code]}.") from error
        if code in {"NoSuchEntity", "NoSuchEntityException"}:
            text = f"there is no {principal or what}: deploy the stacks first, or name another."  # noqa: E501 - one sentence
            raise PreflightError(text) from error
        if code in {"AccessDenied", "AccessDeniedException"}:
            action = f"iam:{error.operation_name}"
            raise PreflightError(
                f"these credentials may not ask: they need {action} on "
                f"{principal or what}."
            ) from error
        raise PreflightError(f"could not ask AWS {what}: {error}.") from error
    except NoCredentialsError as error:
        raise PreflightError(
            "there are no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY."
        ) from error
    except BotoCoreError as error:
        raise PreflightError(f"could not ask AWS {what}: {error}.") from error


def clients() -> tuple[Any, Any]:
    """boto3 clients of iam and sts."""
    config = Config(
        retries={"mode": "standard", "max_attempts": 4},
        connect_timeout=5,
        read_timeout=30,
        user_agent_extra="isocenter-preflight",
    )
    with asking("who this is"):
        # Both answer the same everywhere: their region is only a signature's.
        session = boto3.Session()
        region = session.region_name or "us-east-1"
        return (
            session.client("iam", region_name=region, config=config),
            session.client("sts", region_name=region, config=config),
        )


def principal(iam: Any, sts: Any) -> str | None:
    """ARN of the user or role whose credentials these are; None for the account's root.

    Raises:
        PreflightError: AWS can't be asked, or does not know the credentials.
    """
    with asking("who this is"):
        arn = str(sts.get_caller_identity()["Arn"])
    if arn.endswith(":root"):
        return None
    session = re.fullmatch(r"arn:[^:]+:sts::\d{12}:assumed-role/([^/]+)/.+", arn)
    if not session:
        return arn
    # The session's ARN leaves the role's path out.
    with asking("about the role of this session", f"role {session[1]}"):
        return str(iam.get_role(RoleName=session[1])["Role"]["Arn"])
