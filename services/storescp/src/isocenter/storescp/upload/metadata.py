"""An instance's attributes as DICOM JSON (PS3.18 F), without bulk data.

Written beside the instances if the setting asks for it. It holds patient attributes
like the instance itself, and belongs under the same protection.
"""

import json
import logging
from pathlib import Path
from typing import Any

import pydicom

from isocenter.storescp.identify import DEFLATED

log = logging.getLogger(__name__)

_BULK_BYTES = 1024


def metadata_json(
    path: Path, *, sop_instance_uid: str, transfer_syntax_uid: str
) -> bytes | None:
    """The DICOM JSON model object of a P10 file, UTF-8.

    Values over 1 KiB are left out, and so are elements that JSON can't express.

    Returns:
        None if it can't be made: the instance goes without, whatever the reason,
        because an instance must never wait for its metadata. Deflated data sets
        always do: inflating one could take any amount of memory.
    """
    if transfer_syntax_uid in DEFLATED:
        return None
    try:
        members = _members(path, sop_instance_uid)
        return json.dumps(members, ensure_ascii=False).encode()
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever the bytes make it raise
        # The type only: texts of pydicom's errors quote values.
        log.warning(
            "no metadata for an instance",
            extra={"sop_instance_uid": sop_instance_uid, "error": type(error).__name__},
        )
        return None


def _members(path: Path, sop_instance_uid: str) -> dict[str, Any]:
    """Tag -> element.

    Not ``Dataset.to_json_dict(suppress_invalid_tags=True)``: that logs the values it
    can't express, and changes pydicom's validation for every thread of the process.
    """
    data_set = pydicom.dcmread(path, stop_before_pixels=True, defer_size=1024 * 1024)
    members = {}
    for tag in data_set.keys():  # noqa: SIM118 - a Dataset iterates over its elements
        try:
            members[f"{tag:08X}"] = data_set[tag].to_json_dict(
                bulk_data_threshold=_BULK_BYTES, bulk_data_element_handler=_left_out
            )
        except Exception as error:  # noqa: BLE001 - as above, for one element
            log.info(
                "an element is left out of an instance's metadata",
                extra={
                    "sop_instance_uid": sop_instance_uid,
                    "key": f"{tag:08X}",
                    "error": type(error).__name__,
                },
            )
    return members


def _left_out(_element: Any) -> str:
    return ""
