"""Controls under `/_devcloud/sagemaker/`: what no AWS API has, but tests need."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field

from isocenter.devcloud.sagemaker.engine import Engine, ended
from isocenter.devcloud.sagemaker.faults import Fault, Faults
from isocenter.devcloud.sagemaker.manual_runner import ManualRunner
from isocenter.devcloud.sagemaker.models import TERMINAL_JOB, Job
from isocenter.devcloud.sagemaker.runner import RunnerError


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StepEnd(_Body):
    """How a step of the manual executor ends."""

    status: Literal["Succeeded", "Failed"]
    reason: str | None = None
    exit_message: str | None = None
    log: str | None = None
    metrics: dict[str, float] | None = None
    model_uri: str | None = None


class FaultOrder(_Body):
    """An error that the next `times` calls of an operation are answered by."""

    operation: str
    code: str = "ThrottlingException"
    message: str = "Rate exceeded"
    status: Annotated[int, Field(ge=400, le=599)] = 400
    times: Annotated[int, Field(ge=1)] = 1


class Quotas(_Body):
    """Limits of the account."""

    concurrent_executions: Annotated[int, Field(ge=0)]


def router(engine: Engine, faults: Faults) -> APIRouter:
    """The control routes over an engine."""
    routes = APIRouter(prefix="/_devcloud/sagemaker")
    store = engine.store

    @routes.get("/jobs")
    def jobs() -> list[dict[str, Any]]:
        with store.lock:
            return [
                {"name": job.name, "kind": job.kind, "status": job.status}
                for job in store.jobs.values()
            ]

    @routes.get("/jobs/{name}/log")
    def log(name: str) -> Response:
        with store.lock:
            job = store.jobs.get(name.lower())
        if job is None:
            raise HTTPException(404, f"no job {name}")
        return Response(_log(engine, job), media_type="text/plain; charset=utf-8")

    @routes.put("/executions/{execution_id}/steps/{step}")
    def end_step(execution_id: str, step: str, body: StepEnd) -> dict[str, str]:
        job = _running_job(engine, execution_id, step)
        if not isinstance(engine.runner, ManualRunner):
            raise HTTPException(409, "the executor is not `manual`")
        said = ended(
            body.status,
            failure_reason=body.reason,
            exit_message=body.exit_message,
            log=body.log,
            metrics=body.metrics,
            model_uri=body.model_uri,
        )
        if not engine.runner.end(job, said):
            raise HTTPException(409, f"the end of step {step} was said before")
        return {"job": job.name}

    @routes.post("/faults", status_code=204)
    def add_fault(body: FaultOrder) -> None:
        faults.add(Fault(**body.model_dump()))

    @routes.delete("/faults", status_code=204)
    def clear_faults() -> None:
        faults.clear()

    @routes.put("/quotas", status_code=204)
    def set_quotas(body: Quotas) -> None:
        with store.lock:
            store.concurrent_executions = body.concurrent_executions

    return routes


def _log(engine: Engine, job: Job) -> str:
    """Kept when the job has ended, from the container while it runs."""
    if job.status in TERMINAL_JOB:
        return job.log
    try:
        return engine.runner.log(job)
    except RunnerError as error:
        raise HTTPException(503, str(error)) from error


def _running_job(engine: Engine, execution_id: str, step: str) -> Job:
    with engine.store.lock:
        for execution in engine.store.executions.values():
            if execution.id != execution_id or step not in execution.steps:
                continue
            job = execution.steps[step].job
            if job is None or job.status in TERMINAL_JOB:
                raise HTTPException(409, f"step {step} is not running")
            return job
    raise HTTPException(404, f"no step {step} in an execution {execution_id}")
