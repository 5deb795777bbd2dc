"""Reading a data set in the DICOM JSON model (PS3.18 F.2), whatever it holds. Pure."""

from collections.abc import Mapping
from typing import Any

Dataset = Mapping[str, Any]
"""tag -> {"vr", "Value"}"""


def values(dataset: Dataset, tag: str) -> list[Any]:
    """The values of an attribute; none if it isn't there, or has none."""
    element = dataset.get(tag)
    found = element.get("Value") if isinstance(element, Mapping) else None
    return found if isinstance(found, list) else []


def vr_of(dataset: Dataset, tag: str, default: str) -> str:
    """The VR that the data set gives, else ``default``."""
    element = dataset.get(tag)
    return str(element.get("vr", default)) if isinstance(element, Mapping) else default


def first_text(dataset: Dataset, tag: str) -> str | None:
    """The first value as text; None without one."""
    found = values(dataset, tag)
    return None if not found or found[0] is None else str(found[0])
