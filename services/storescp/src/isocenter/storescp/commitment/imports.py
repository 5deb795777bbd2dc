"""What HealthImaging imported of a batch, by the output of its import jobs.

Intake gives each batch's import a folder of its own, ``<import output>/<batch>/``;
HealthImaging makes one more in it for each job, with ``SUCCESS/success.ndjson`` and
``FAILURE/failure.ndjson`` (developer guide, "Understanding import jobs").
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from isocenter.storescp.commitment.decision import Finding
from isocenter.storescp.commitment.objects import Objects

_SUCCESS = "/SUCCESS/success.ndjson"
_FAILURE = "/FAILURE/failure.ndjson"


@dataclass(frozen=True)
class BatchImport:
    """What is known of a batch's import.

    Attributes:
        imported: ``inputFile`` of each file that is in the data store.
        failed: of each that HealthImaging refused.
    """

    imported: frozenset[str]
    failed: frozenset[str]

    def finding(self, key: str) -> Finding:
        """What became of the object ``key`` of this batch."""
        # An inputFile is a key, or the end of one from the job's input folder on.
        parts = key.split("/")
        ends = {"/".join(parts[n:]) for n in range(len(parts))}
        if ends & self.imported:
            return Finding.COMMITTED
        return Finding.SPOILED if ends & self.failed else Finding.PENDING


class Imports:
    """The outputs of import jobs in a bucket.

    Args:
        objects: S3.
        prefix: that intake gives to imports (its setting ``import_output_prefix``).
    """

    def __init__(self, objects: Objects, prefix: str) -> None:
        self._objects = objects
        self._prefix = prefix

    def of(self, bucket: str, batch: str) -> BatchImport:
        """What is known of a batch's import now.

        Raises:
            AwsError: S3 could not be asked.
        """
        files: dict[str, set[str]] = {_SUCCESS: set(), _FAILURE: set()}
        for key in self._objects.keys(bucket, f"{self._prefix}{batch}/"):
            for name, found in files.items():
                if key.endswith(name):
                    found.update(_files(self._objects.read(bucket, key)))
        return BatchImport(frozenset(files[_SUCCESS]), frozenset(files[_FAILURE]))


def _files(body: bytes | None) -> Iterator[str]:
    for line in (body or b"").splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue  # half a line: the job is still writing
        if isinstance(document, dict) and isinstance(document.get("inputFile"), str):
            yield document["inputFile"]
