"""The files an import job leaves: three ndjson files and the manifest.

Developer guide, "Understanding import jobs"; ``imageSetVersion`` and
``isPrimary`` as seen in live manifests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isocenter.devcloud.healthimaging.import_warnings import InstanceWarning

__all__ = ["FileFailure", "ImageSetOutcome", "ImportedFile", "JobOutcome"]


@dataclass(frozen=True)
class ImageSetOutcome:
    """One image set that the job made or grew."""

    image_set_id: str
    version: int
    is_primary: bool
    matched_instances: int


@dataclass(frozen=True)
class ImportedFile:
    """A file that was imported; ``input_file`` is its key without the bucket."""

    input_file: str
    image_set_id: str
    warnings: tuple[InstanceWarning, ...] = ()


@dataclass(frozen=True)
class FileFailure:
    """A file that was not imported, by its own fault or by ours."""

    input_file: str
    message: str
    server_error: bool = False


@dataclass
class JobOutcome:
    """Everything a finished job has to tell."""

    imported: list[ImportedFile] = field(default_factory=list)
    failures: list[FileFailure] = field(default_factory=list)
    image_sets: list[ImageSetOutcome] = field(default_factory=list)

    def files(
        self, *, job_id: str, datastore_id: str, input_s3_uri: str, output_s3_uri: str
    ) -> list[tuple[str, bytes]]:
        """(name below the job's folder, content) in the order of writing."""
        server = sum(failure.server_error for failure in self.failures)
        summary = {
            "jobId": job_id,
            "datastoreId": datastore_id,
            "inputS3Uri": input_s3_uri,
            "outputS3Uri": output_s3_uri,
            "successOutputS3Uri": f"{output_s3_uri}SUCCESS/",
            "failureOutputS3Uri": f"{output_s3_uri}FAILURE/",
            "warningsOutputS3Uri": f"{output_s3_uri}WARNING/",
            "numberOfScannedFiles": len(self.imported) + len(self.failures),
            "numberOfImportedFiles": len(self.imported),
            "numberOfFilesWithCustomerError": len(self.failures) - server,
            "numberOfFilesWithServerError": server,
            "numberOfGeneratedImageSets": len(self.image_sets),
            "imageSetsSummary": [
                {
                    "imageSetId": image_set.image_set_id,
                    "imageSetVersion": image_set.version,
                    "isPrimary": image_set.is_primary,
                    "numberOfMatchedSOPInstances": image_set.matched_instances,
                }
                for image_set in self.image_sets
            ],
        }
        manifest = json.dumps({"jobSummary": summary}, indent=2).encode()
        lines = {
            "SUCCESS/success.ndjson": self._successes(),
            "FAILURE/failure.ndjson": self._failures(),
            "WARNING/warning.ndjson": self._warnings(),
        }
        files = [(name, _ndjson(objects)) for name, objects in lines.items() if objects]
        return [*files, ("job-output-manifest.json", manifest)]

    def _successes(self) -> list[dict[str, Any]]:
        sets = {image_set.image_set_id: image_set for image_set in self.image_sets}
        return [
            {
                "inputFile": file.input_file,
                "importResponse": {
                    "imageSetId": file.image_set_id,
                    "isPrimary": sets[file.image_set_id].is_primary,
                },
            }
            for file in self.imported
        ]

    def _failures(self) -> list[dict[str, Any]]:
        return [
            {
                "inputFile": failure.input_file,
                "exception": {
                    "exceptionType": "InternalServerException"
                    if failure.server_error
                    else "ValidationException",
                    "message": failure.message,
                },
            }
            for failure in self.failures
        ]

    def _warnings(self) -> list[dict[str, Any]]:
        sets = {image_set.image_set_id: image_set for image_set in self.image_sets}
        return [
            {
                "inputFile": file.input_file,
                "importResponse": {
                    "imageSetId": file.image_set_id,
                    "imageSetVersion": sets[file.image_set_id].version,
                    "isPrimary": sets[file.image_set_id].is_primary,
                    "warnings": [warning.to_dict() for warning in file.warnings],
                },
            }
            for file in self.imported
            if file.warnings
        ]


def _ndjson(objects: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in objects).encode()
