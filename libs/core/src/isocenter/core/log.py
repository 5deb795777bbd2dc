"""Structured logs: one JSON object a line, fixed field names.

Only the names in ``FIELDS`` are written beside time, level, logger, message and
service. A field that is not listed is dropped: that is what keeps patient
attributes out of logs even when a caller is careless.
"""

import json
import logging
import sys
from datetime import UTC, datetime

FIELDS = frozenset(
    {
        "assoc_id",
        "attempt",
        "batch",
        "bytes",
        "called_ae",
        "calling_ae",
        "datastore_id",
        "dicom_status",
        "duration_s",
        "error",
        "event_id",
        "execution_arn",
        "frame_id",
        "image_set_id",
        "import_job",
        "instances",
        "job_id",
        "key",
        "level",
        "namespace",
        "peer",
        "reason",
        "sop_class_uid",
        "sop_instance_uid",
        "status",
        "training_run",
        "transfer_syntax_uid",
        "trigger",
        "version_id",
    }
)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON with the fixed field names."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON for ``record``."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in sorted(FIELDS & record.__dict__.keys()):
            line[name] = record.__dict__[name]
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(service: str, level: str = "INFO") -> None:
    """Send every logger of this process to stderr as JSON, once.

    Third-party loggers are kept at WARNING: some of them print data sets.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("isocenter").setLevel(level)
