"""HealthImaging's EventBridge events. Pure.

Source: HealthImaging developer guide, "Using Amazon EventBridge", and the
EventBridge schema registry. The two disagree about one key (``imagesetId`` in the
guide, ``imageSetId`` in the registry), and the guide's example even about the id
in ``resources``: every spelling is read, and the id is checked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isocenter.core.errors import MalformedError
from isocenter.core.run_request import ID_PATTERN

SOURCE = "aws.medical-imaging"
IMAGE_SET_READY = frozenset(
    {"Image Set Created", "Image Set Updated", "Image Set Copied"}
)
"""Detail types after which an image set (version) can be read."""
IMPORT_ENDED = frozenset({"Import Job Completed", "Import Job Failed"})

_ID = re.compile(ID_PATTERN)


@dataclass(frozen=True)
class ImageSetEvent:
    """An image set became readable.

    ``version`` and ``is_primary`` are optional in the registry's schema: None
    means that GetImageSet has to be asked.
    """

    event_id: str
    kind: str
    datastore_id: str
    image_set_id: str
    version: str | None
    is_primary: bool | None


@dataclass(frozen=True)
class ImportJobEvent:
    """An import job ended."""

    event_id: str
    kind: str
    datastore_id: str
    job_id: str


def parse_event(body: Mapping[str, Any]) -> ImageSetEvent | ImportJobEvent | None:
    """Read one EventBridge event.

    Returns:
        None for an event that is not HealthImaging's or is of a kind nobody
        waits for.

    Raises:
        MalformedError: a kind we wait for, without usable ids.
    """
    if body.get("source") != SOURCE:
        return None
    kind = str(body.get("detail-type", ""))
    if kind not in IMAGE_SET_READY | IMPORT_ENDED:
        return None
    event_id = str(body.get("id", ""))
    detail = body.get("detail")
    if not isinstance(detail, Mapping):
        raise MalformedError(f"event {event_id} ({kind}) has no detail")
    datastore_id = _identifier(detail.get("datastoreId"), "datastoreId", event_id)
    if kind in IMPORT_ENDED:
        job_id = _identifier(detail.get("jobId"), "jobId", event_id)
        return ImportJobEvent(event_id, kind, datastore_id, job_id)
    version = detail.get("imageSetVersion")
    primary = detail.get("isPrimary")
    return ImageSetEvent(
        event_id=event_id,
        kind=kind,
        datastore_id=datastore_id,
        image_set_id=_identifier(
            detail.get("imageSetId")
            or detail.get("imagesetId")
            or _from_resources(body.get("resources")),
            "imageSetId",
            event_id,
        ),
        version=None if version is None else str(version),
        is_primary=primary if isinstance(primary, bool) else None,
    )


def _from_resources(resources: object) -> str | None:
    """The last segment of ``.../datastore/<id>/imageset/<id>``."""
    if not isinstance(resources, list) or not resources:
        return None
    head, _, last = str(resources[0]).rpartition("/imageset/")
    return last if head else None


def _identifier(value: object, name: str, event_id: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise MalformedError(
            f"event {event_id}: {name} is missing or not of 32 digits and letters"
        )
    return value
