"""Structured logs: one JSON object a line, fixed field names.

Only the names in ``FIELDS`` are written beside time, level, logger, message and
service. A field that is not listed is dropped: that is what keeps patient
attributes out of logs even when a caller is careless.
"""

import json
import logging
import sys
from datetime import UTC, datetime

MEANINGS = {
    "assoc_id": "Number of the DICOM association, unique in its process.",
    "attempt": "Which try this was, from 1.",
    "batch": "Id of a batch of received instances.",
    "bytes": "Size of what the line is about.",
    "calling_ae": "AE title of the sender.",
    "committed": "Number of instances whose storage was committed.",
    "datastore_id": "HealthImaging data store.",
    "dicom_status": "Status of a DIMSE response, four hexadecimal digits.",
    "duration_s": "Seconds it took.",
    "error": "What went wrong, in words; for an AWS call its answer.",
    "event_id": "Id of the SQS message or of the EventBridge event in it.",
    "execution_arn": "SageMaker pipeline execution.",
    "exit_code": "Of a process that ended; negative: the signal that ended it.",
    "failed": "Number of instances whose storage was not committed.",
    "file": "Name of a file of the process's own on its volume.",
    "frame_id": "Image frame of HealthImaging.",
    "free_bytes": "Free space of the spool's volume.",
    "image_set_id": "Image set of HealthImaging.",
    "import_job": "Name of a DICOMImportJob.",
    "instances": "Number of instances.",
    "job_id": "Job of the fetcher service, or import job of HealthImaging.",
    "key": "S3 key; in lines about metadata, a tag.",
    "namespace": "Kubernetes namespace.",
    "outcome": "How it ended, in one word.",
    "peer": "Network address of the sender.",
    "pid": "Process id.",
    "reason": "One word, or the comment of a DIMSE response.",
    "sop_class_uid": "SOP Class UID of an instance.",
    "sop_instance_uid": "SOP Instance UID of an instance.",
    "status": "Phase or status after the change.",
    "training_run": "Name of a TrainingRun.",
    "transaction_uid": "Transaction UID of a request for storage commitment.",
    "transfer_syntax_uid": "Transfer Syntax UID of an instance.",
    "trigger": "Name of a TrainingTrigger.",
    "version_id": "Version of an image set.",
    "worker": "Number of a worker process, from 0.",
}
"""What each field says; docs/reference is made from it."""
FIELDS = frozenset(MEANINGS)


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
