"""Which EventBridge events intake waits for. Pure.

The rules that deliver to the queue have to let these through (infra/eks), and
docs/reference tells them.
"""

from dataclasses import dataclass
from typing import Any

from isocenter.core.healthimaging.events import (
    IMAGE_SET_READY,
    IMPORT_ENDED,
    SOURCE,
)

S3_SOURCE = "aws.s3"
OBJECT_CREATED = "Object Created"
SAGEMAKER_SOURCE = "aws.sagemaker"
EXECUTION_CHANGED = "SageMaker Model Building Pipeline Execution Status Change"


@dataclass(frozen=True)
class Awaited:
    """Events of one kind.

    Attributes:
        source: ``source`` of the event.
        detail_types: its ``detail-type``, any of these.
        needs: what is read of ``detail``.
        effect: what intake does.
        without: what finds the same when the event is lost.
    """

    source: str
    detail_types: frozenset[str]
    needs: str
    effect: str
    without: str

    @property
    def pattern(self) -> dict[str, Any]:
        """The least EventBridge pattern that lets them through."""
        return {"source": [self.source], "detail-type": sorted(self.detail_types)}


AWAITED = (
    Awaited(
        S3_SOURCE,
        frozenset({OBJECT_CREATED}),
        "bucket.name, object.key",
        "A key under batches_prefix that ends in .json: makes the DICOMImportJob of "
        "the batch.",
        "the sweep lists batches_prefix",
    ),
    Awaited(
        SOURCE,
        IMAGE_SET_READY,
        "datastoreId, imageSetId (or imagesetId), imageSetVersion, isPrimary",
        "Makes a TrainingRun for every TrainingTrigger that selects the image set.",
        "the sweep searches the data stores of triggers",
    ),
    Awaited(
        SOURCE,
        IMPORT_ENDED,
        "datastoreId, jobId, jobName",
        "Lets the operator look at the DICOMImportJob named jobName at once.",
        "the operator polls",
    ),
    Awaited(
        SAGEMAKER_SOURCE,
        frozenset({EXECUTION_CHANGED}),
        "pipelineExecutionArn, pipelineExecutionDescription, "
        "currentPipelineExecutionStatus",
        "Lets the operator look at the TrainingRun named in the description at once.",
        "the operator polls",
    ),
)
