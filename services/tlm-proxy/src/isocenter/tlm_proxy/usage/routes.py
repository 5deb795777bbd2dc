"""The route from a study to the runs that used it."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from isocenter.core.errors import NotFoundError
from isocenter.core.run_request import ID_PATTERN
from isocenter.tlm_proxy.access.caller import Caller
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.errors import UsageUnsetError
from isocenter.tlm_proxy.frames.key import Store
from isocenter.tlm_proxy.http.callers import caller_dependency
from isocenter.tlm_proxy.http.frame_routes import PROBLEMS
from isocenter.tlm_proxy.usage.catalogue import RunCatalogue, UsingRun
from isocenter.tlm_proxy.usage.objects import RunObjects

Region = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,32}$")]
Id = Annotated[str, Path(pattern=ID_PATTERN)]
Uid = Annotated[str, Path(pattern=r"^[0-9][0-9.]{0,63}$")]


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ImageSetVersion(_Camel):
    """An image set of the study, as it is now."""

    id: str
    version_id: str


class RunUse(_Camel):
    """A run that used the study."""

    namespace: str
    name: str
    attempt: int
    execution: str = Field(description="Id of the pipeline execution.")
    image_sets: tuple[str, ...] = Field(description="Those of the study that it used.")
    dataset_s3_uri: str
    model_s3_uri: str | None = Field(description="null: no model (yet).")
    completed_at: datetime = Field(description="When the dataset was complete.")


class StudyUse(_Camel):
    """The answer."""

    study_instance_uid: str = Field(alias="studyInstanceUID")
    image_sets: tuple[ImageSetVersion, ...]
    runs: tuple[RunUse, ...] = Field(description="The latest first.")
    complete: bool = Field(
        description="false: some runs' manifests can't be read, or were too many."
    )
    as_of: datetime = Field(description="When the runs were listed.")


def usage_router(context: ProcessContext) -> APIRouter:
    """The one route; without ``runs_s3_uri`` it says that it is off.

    Raises:
        ConfigurationError: no AWS region is set.
    """
    settings = context.settings
    catalogue = (
        RunCatalogue(
            RunObjects.connect(settings.runs_s3_uri),
            refresh_s=settings.usage_refresh_s,
            max_image_sets=settings.usage_max_image_sets,
        )
        if settings.runs_s3_uri
        else None
    )
    router = APIRouter()
    who = Depends(caller_dependency(context))

    @router.get("/usage/{region}/{datastore_id}/studies/{study}", responses=PROBLEMS)
    async def study_use(
        region: Region, datastore_id: Id, study: Uid, caller: Caller = who
    ) -> StudyUse:
        """Runs and datasets that used image sets of a study."""
        caller.require(datastore_id)
        if catalogue is None:
            raise UsageUnsetError(
                "which runs used a study is not known here: TLM_PROXY_RUNS_S3_URI "
                "is not set"
            )
        found = await context.upstream.image_sets.search(
            Store(region, datastore_id), "DICOMStudyInstanceUID", study, caller.client
        )
        if not found:
            raise NotFoundError("the data store has no image set of this study")
        usage = await catalogue.using(datastore_id, {item.id for item in found})
        return StudyUse(
            study_instance_uid=study,
            image_sets=tuple(
                ImageSetVersion(id=item.id, version_id=item.version) for item in found
            ),
            runs=tuple(_run_use(using) for using in usage.runs),
            complete=usage.complete,
            as_of=usage.as_of,
        )

    return router


def _run_use(using: UsingRun) -> RunUse:
    execution = using.run.execution
    return RunUse(
        namespace=execution.namespace,
        name=execution.name,
        attempt=execution.attempt,
        execution=execution.execution,
        image_sets=using.image_sets,
        dataset_s3_uri=using.dataset_s3_uri,
        model_s3_uri=using.model_s3_uri,
        completed_at=using.run.completed_at,
    )
