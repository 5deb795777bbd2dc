"""The table of reasons, against what the deciders really say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from isocenter.core import errors
from isocenter.core.healthimaging.answers import ImportJob
from isocenter.operator import import_lifecycle, lifecycle, problems
from isocenter.operator.reasons import (
    ABOUT,
    ALL_INSTANCES_IMPORTED,
    COMPLETED,
    MEANINGS,
    STARTED,
    SUCCEEDED,
    ConditionRef,
    Reason,
)
from isocenter.operator.resources import (
    DICOMImportJobStatus,
    TrainingRunSpec,
    TrainingRunStatus,
)

AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
TABLES = Path(__file__).parents[2] / "data/lifecycle"
RUN = TrainingRunSpec.model_validate(
    {
        "datastoreId": "d" * 32,
        "imageSets": [{"id": "1" * 32}],
        "pipeline": {"name": "p"},
    }
)
FAILURES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.IsocenterError)
]


def said(kind: str, conditions) -> set[tuple[ConditionRef, str]]:
    return {(ConditionRef(kind, c.type), c.reason) for c in conditions}


def known() -> set[tuple[ConditionRef, str]]:
    return {(ref, str(reason)) for ref, table in MEANINGS.items() for reason in table}


def test_every_reason_has_a_meaning_and_every_condition_is_told():
    assert {reason for table in MEANINGS.values() for reason in table} == set(Reason)
    assert set(ABOUT) == set(MEANINGS)
    for table in MEANINGS.values():
        assert all(text.endswith(".") for text in table.values())


@pytest.mark.parametrize("failure", FAILURES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("started", [False, True])
def test_failures_of_calls_have_a_meaning_in_every_condition(failure, started):
    reason = problems.reason(failure("no"))
    for final in (False, True):
        arn = "arn:aws:sagemaker:::x" if started else None
        run = lifecycle.decide(
            RUN,
            TrainingRunStatus(execution_arn=arn),
            lifecycle.Problem(reason, "no", final=final),
            generation=1,
            at=AT,
        )
        job = import_lifecycle.decide(
            DICOMImportJobStatus(job_id="j" if started else None),
            import_lifecycle.Problem(reason, "no", final=final),
            generation=1,
            at=AT,
            output_wait=timedelta(minutes=1),
        )
        found = said("TrainingRun", run.status.conditions)
        found |= said("DICOMImportJob", job.status.conditions)
        assert len(found) >= 2
        assert found <= known()


@pytest.mark.parametrize(
    "status",
    [
        *("Executing", "Stopping", "Stopped", "Failed", "Succeeded"),
        *("CompletedWithFailures", "Dreaming"),
    ],
)
def test_every_status_of_an_execution_has_a_reason_with_a_meaning(status):
    seen = lifecycle.Seen(lifecycle.Execution(status, AT, AT, None), ())
    before = TrainingRunStatus(execution_arn="arn:aws:sagemaker:::x")
    after = lifecycle.decide(RUN, before, seen, generation=1, at=AT).status
    assert said("TrainingRun", after.conditions) <= known()
    assert {ref for ref, _ in said("TrainingRun", after.conditions)} == {SUCCEEDED}


@pytest.mark.parametrize(
    "status", ["SUBMITTED", "IN_PROGRESS", "FAILED", "COMPLETED", "DREAMING"]
)
def test_every_status_of_an_import_has_a_reason_with_a_meaning(status):
    seen = import_lifecycle.Seen(ImportJob("j", status, "s3://b/o/", None))
    for wait in (timedelta(0), timedelta(hours=1)):
        after = import_lifecycle.decide(
            DICOMImportJobStatus(job_id="j"),
            seen,
            generation=1,
            at=AT,
            output_wait=wait,
        ).status
        found = said("DICOMImportJob", after.conditions)
        assert found <= known()
        assert {ref for ref, _ in found} <= {COMPLETED, ALL_INSTANCES_IMPORTED}


@pytest.mark.parametrize(
    ("file", "kind"),
    [("training_run", "TrainingRun"), ("dicom_import_job", "DICOMImportJob")],
)
def test_the_tables_of_cases_expect_reasons_that_have_a_meaning(file, kind):
    """The cases are what people read to learn the life of a resource."""
    text = (TABLES / f"{file}.yaml").read_text()
    of_kind = {
        str(r) for ref, table in MEANINGS.items() if ref.kind == kind for r in table
    }
    named = {
        value["reason"]
        for case in yaml.safe_load(text)
        for value in walk(case)
        if isinstance(value.get("reason"), str)
    }
    assert named
    assert named <= of_kind


def walk(node):
    """Every mapping in a document."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def test_started_is_said_before_the_start_only():
    before = lifecycle.decide(
        RUN, TrainingRunStatus(), None, generation=1, at=AT
    ).status
    assert said("TrainingRun", before.conditions) == {(STARTED, Reason.STARTING)}
