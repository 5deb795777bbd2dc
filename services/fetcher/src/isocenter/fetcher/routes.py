"""HTTP: ``/v1/datasets``, health and metrics."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from isocenter.core.errors import AwsError, IsocenterError, MalformedError
from isocenter.fetcher.job_record import JOB_ID_PATTERN, DatasetOrder, JobRecord
from isocenter.fetcher.jobs import Jobs, OutputInUseError, QueueFullError

_STATUS: tuple[tuple[type[IsocenterError], int], ...] = (
    (QueueFullError, 429),
    (OutputInUseError, 409),
    (AwsError, 503),
    (MalformedError, 500),
)
"""What a failure is in HTTP; the first that fits."""


def create_app(jobs: Jobs) -> FastAPI:
    """The service's application around ``jobs``, which it starts and closes."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        jobs.start()
        yield
        jobs.close()

    app = FastAPI(title="isocenter fetcher", version="1", lifespan=lifespan)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(IsocenterError, _failed)
    _add_datasets(app, jobs)
    _add_health(app, jobs)
    return app


# The handlers are no coroutines: they wait for S3, so each runs in a thread.
def _add_datasets(app: FastAPI, jobs: Jobs) -> None:
    @app.post("/v1/datasets", status_code=202)
    def submit(order: DatasetOrder, response: Response) -> JobRecord:
        """Ask for a dataset; the same order again is the same job."""
        record = jobs.submit(order)
        response.headers["Location"] = f"/v1/datasets/{record.id}"
        return record

    @app.get("/v1/datasets/{job_id}", response_model=JobRecord)
    def show(
        job_id: Annotated[str, Path(pattern=JOB_ID_PATTERN)],
    ) -> JobRecord | JSONResponse:
        """A job: status, progress, result."""
        record = jobs.find(job_id)
        if record is None:
            return _answer(404, "JobNotFound", f"there is no job {job_id}")
        return record


def _add_health(app: FastAPI, jobs: Jobs) -> None:
    def probe(problem: Callable[[], str | None]) -> PlainTextResponse:
        text = problem()
        return PlainTextResponse(f"{text or 'ok'}\n", 200 if text is None else 503)

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> PlainTextResponse:
        return probe(lambda: jobs.dead)

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> PlainTextResponse:
        return probe(lambda: jobs.not_ready)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _answer(status: int, error: str, message: str) -> JSONResponse:
    return JSONResponse({"error": error, "message": message}, status)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    message = "; ".join(
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
        for item in problems[:5]
    )
    return _answer(422, "InvalidRequest", message)


def _failed(_: Request, error: Exception) -> JSONResponse:
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return _answer(status, type(error).__name__, str(error))
    return _answer(500, type(error).__name__, str(error))
