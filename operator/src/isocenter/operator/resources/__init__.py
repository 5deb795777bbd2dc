"""The custom resources as models: what the API server holds, in our words. Pure."""

from isocenter.operator.resources.base import (
    GROUP,
    HINT_ANNOTATION,
    PLURALS,
    VERSION,
    Metadata,
    Resource,
    S3Location,
    merge_patch,
)
from isocenter.operator.resources.dicom_import_job import (
    DICOMImportJob,
    DICOMImportJobSpec,
    DICOMImportJobStatus,
    ImportedImageSet,
)
from isocenter.operator.resources.training_run import (
    Attempt,
    Metric,
    PipelineRef,
    StepState,
    TrainingRun,
    TrainingRunSpec,
    TrainingRunStatus,
)
from isocenter.operator.resources.training_trigger import (
    RunTemplate,
    TrainingTrigger,
    TrainingTriggerSpec,
    TrainingTriggerStatus,
)

__all__ = [
    "GROUP",
    "HINT_ANNOTATION",
    "PLURALS",
    "VERSION",
    "Attempt",
    "DICOMImportJob",
    "DICOMImportJobSpec",
    "DICOMImportJobStatus",
    "ImportedImageSet",
    "Metadata",
    "Metric",
    "PipelineRef",
    "Resource",
    "RunTemplate",
    "S3Location",
    "StepState",
    "TrainingRun",
    "TrainingRunSpec",
    "TrainingRunStatus",
    "TrainingTrigger",
    "TrainingTriggerSpec",
    "TrainingTriggerStatus",
    "merge_patch",
]
