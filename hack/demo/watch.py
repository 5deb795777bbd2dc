"""What happens to a study that was sent, told while it happens."""

from typing import Any

from demo.place import NAMESPACE
from demo.shell import DemoError, get
from demo.waiting import until


def names(kind: str) -> set[str]:
    """Names of all resources of a kind."""
    return {item["metadata"]["name"] for item in get(NAMESPACE, kind)}


def import_job(known: set[str], *, limit_s: float = 240) -> dict[str, Any]:
    """Wait until a DICOMImportJob that was not known before has ended."""

    def look() -> tuple[str, dict[str, Any] | None]:
        new = [
            job
            for job in get(NAMESPACE, "dicomimportjobs")
            if job["metadata"]["name"] not in known
        ]
        if not new:
            return "waiting for the batch to be sealed and imported", None
        job = new[0]
        status = job.get("status", {})
        phase = status.get("phase", "Pending")
        text = f"DICOMImportJob {job['metadata']['name']}: {phase}"
        if phase == "Failed":
            raise DemoError(f"{text}: {status.get('message')}")
        return text, job if phase == "Completed" else None

    return until(look, limit_s)


def training_runs(job: dict[str, Any], *, limit_s: float = 600) -> list[dict[str, Any]]:
    """Wait until every image set of an import has a TrainingRun that ended."""
    wanted = {
        (entry["id"], str(entry.get("versionId", "1")))
        for entry in job["status"]["imageSets"]
        if entry.get("isPrimary", True)
    }

    def look() -> tuple[str, list[dict[str, Any]] | None]:
        runs = [
            run
            for run in get(NAMESPACE, "trainingruns")
            if any(
                (entry["id"], str(entry.get("versionId", "1"))) in wanted
                for entry in run["spec"]["imageSets"]
            )
        ]
        if len(runs) < len(wanted):
            return f"{len(runs)} of {len(wanted)} TrainingRuns made", None
        ended = [r for r in runs if _phase(r) in {"Succeeded", "Failed", "Stopped"}]
        text = "; ".join(_describe(run) for run in runs)
        return text, runs if len(ended) == len(runs) else None

    return until(look, limit_s)


def _phase(run: dict[str, Any]) -> str:
    return str(run.get("status", {}).get("phase", "Pending"))


def _describe(run: dict[str, Any]) -> str:
    status = run.get("status", {})
    steps = ", ".join(f"{s['name']} {s['status']}" for s in status.get("steps", []))
    text = f"TrainingRun {run['metadata']['name'][:40]}: {_phase(run)}"
    return f"{text} ({steps})" if steps else text
