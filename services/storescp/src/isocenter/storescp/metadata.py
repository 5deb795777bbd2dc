"""An instance's attributes as DICOM JSON (PS3.18 F), without bulk data.

Written beside the instances if the setting asks for it. It holds patient attributes
like the instance itself, and belongs under the same protection.
"""

import json
import logging
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError

log = logging.getLogger(__name__)

_BULK_BYTES = 1024


def metadata_json(path: Path) -> bytes | None:
    """The DICOM JSON model object of a P10 file, UTF-8; values over 1 KiB are left out.

    Returns:
        None if a value can't be expressed in JSON: the instance goes without.
    """
    try:
        data_set = pydicom.dcmread(
            path, stop_before_pixels=True, defer_size=1024 * 1024
        )
        members = data_set.to_json_dict(
            bulk_data_threshold=_BULK_BYTES,
            bulk_data_element_handler=_left_out,
            suppress_invalid_tags=True,
        )
    except (InvalidDicomError, ValueError, TypeError, AttributeError, OSError) as error:
        log.warning(
            "no metadata for an instance",
            extra={"sop_instance_uid": path.stem, "error": type(error).__name__},
        )
        return None
    return json.dumps(members, ensure_ascii=False).encode()


def _left_out(_element: Any) -> str:
    return ""
