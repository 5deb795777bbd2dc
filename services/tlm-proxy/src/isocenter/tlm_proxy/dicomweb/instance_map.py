"""An image set's instances and their frames, kept small. Pure."""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from isocenter.core.healthimaging.image_set import (
    Instance,
    number,
    parse_metadata,
)
from isocenter.tlm_proxy.dicomweb.presentation import Presentation, presentation_of

_ID_LENGTH = 32
_INSTANCE_BYTES = 500
"""About what one instance takes besides its frames' ids (measured)."""


class MappedInstance(NamedTuple):
    """Where one SOP instance's frames are.

    Attributes:
        image_set_id: the image set that holds it.
        version: the version this was read from.
        series_uid: its series.
        sop_uid: the instance.
        number: Instance Number, None if it has none.
        syntax: its stored transfer syntax.
        frame_ids: the ids of its frames, one after the other.
        presentation: how its pixels are shown.
    """

    image_set_id: str
    version: str
    series_uid: str
    sop_uid: str
    number: float | None
    syntax: str
    frame_ids: bytes
    presentation: Presentation

    @property
    def frames(self) -> int:
        """How many frames it has."""
        return len(self.frame_ids) // _ID_LENGTH

    def frame_id(self, frame: int) -> str | None:
        """The id of a frame, counted from 1; None if it has no such frame."""
        if not 1 <= frame <= self.frames:
            return None
        return self.frame_ids[(frame - 1) * _ID_LENGTH : frame * _ID_LENGTH].decode()


class InstanceMap:
    """The instances of one version of an image set.

    Attributes:
        instances: by SOP Instance UID.
        bytes: about what it takes in memory.
    """

    __slots__ = ("bytes", "instances")

    def __init__(self, instances: Mapping[str, MappedInstance]) -> None:
        self.instances = instances
        self.bytes = sum(
            _INSTANCE_BYTES + len(each.frame_ids) for each in instances.values()
        )


def instance_map(
    image_set_id: str, version: str, document: Mapping[str, Any]
) -> InstanceMap:
    """The map of an image set's metadata document.

    Raises:
        MalformedError: it is not one.
    """
    shared: dict[Presentation, Presentation] = {}
    mapped = {}
    for instance in parse_metadata(document).instances:
        presentation = presentation_of(instance.dicom)
        mapped[instance.sop_instance_uid] = MappedInstance(
            image_set_id=image_set_id,
            version=version,
            series_uid=sys.intern(instance.series_instance_uid),
            sop_uid=instance.sop_instance_uid,
            number=number(instance.dicom, "InstanceNumber"),
            syntax=sys.intern(instance.stored_transfer_syntax),
            frame_ids=_frame_ids(instance),
            # Most instances of a series have the same: one object for them.
            presentation=shared.setdefault(presentation, presentation),
        )
    return InstanceMap(mapped)


def _frame_ids(instance: Instance) -> bytes:
    """Ids of 32 characters; one of another length would shift all after it."""
    ids = [frame.id.encode("ascii", "replace") for frame in instance.frames]
    if any(len(each) != _ID_LENGTH for each in ids):
        return b""
    return b"".join(ids)
