from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from isocenter.core.healthimaging.answers import ImportJob
from isocenter.core.healthimaging.import_output import ImportSummary
from isocenter.operator.import_lifecycle import (
    Problem,
    Seen,
    Submit,
    Submitted,
    Watch,
    decide,
)
from isocenter.operator.resources import DICOMImportJobStatus

AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
TABLE = Path(__file__).parents[2] / "data/lifecycle/dicom_import_job.yaml"
CASES = yaml.safe_load(TABLE.read_text())


def summary(given):
    if given is None:
        return None
    return ImportSummary.model_validate(
        {
            "jobId": "j1",
            "datastoreId": "ds",
            "outputS3Uri": "s3://b/out/f/",
            "failureOutputS3Uri": given.get("failureUri"),
            "numberOfScannedFiles": given["scanned"],
            "numberOfImportedFiles": given["imported"],
            "numberOfFilesWithCustomerError": given.get("customer", 0),
            "numberOfFilesWithServerError": given.get("server", 0),
            "imageSetsSummary": [
                {
                    "imageSetId": made["id"],
                    "imageSetVersion": made.get("version"),
                    "isPrimary": made.get("primary"),
                }
                for made in given.get("imageSets", ())
            ],
        }
    )


def observation(observed):
    match observed:
        case {"submitted": job_id}:
            return Submitted(job_id)
        case {"problem": problem}:
            return Problem(**problem)
        case {"seen": seen}:
            job = ImportJob(
                "j1",
                seen["status"],
                seen.get("output", "s3://b/o/"),
                seen.get("message"),
            )
            return Seen(job, summary(seen.get("summary")), seen.get("malformed"))
    return None


def action_of(expected):
    match expected:
        case "submit":
            return Submit()
        case {"watch": job_id}:
            return Watch(job_id)
    return None


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_decide(case):
    decision = decide(
        DICOMImportJobStatus.model_validate(case["given"].get("status", {})),
        observation(case.get("observed")),
        generation=1,
        at=AT,
        output_wait=timedelta(seconds=600),
    )
    expect = case["expect"]
    assert decision.action == action_of(expect["action"])
    dumped = decision.status.model_dump(by_alias=True, mode="json", exclude_none=True)
    assert {name: dumped.get(name) for name in expect["status"]} == expect["status"]
    conditions = {c.type: c for c in decision.status.conditions}
    for kind, (status, reason) in expect.get("conditions", {}).items():
        assert (conditions[kind].status, conditions[kind].reason) == (status, reason)
        assert conditions[kind].observed_generation == 1
