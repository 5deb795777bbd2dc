"""Switches of pydicom and pynetdicom: nothing that peers sent is logged."""

import logging
import warnings

import pydicom.config
from pynetdicom import _config


def configure() -> None:
    """Set the switches, once, before anything is received."""
    # pynetdicom's own event logs format every PDU, and could print identifiers.
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    # pydicom's texts quote the values it stumbles over.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="pydicom")
    # UIDs are checked by us; a warning here would help nobody.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
