"""Prometheus metrics of the operator process, named ``isocenter_operator_*``."""

from prometheus_client import Counter, Gauge, Histogram

LOOKS = Counter(
    "isocenter_operator_looks_total",
    "Looks at a resource, by kind and outcome (ok, conflict, error).",
    ["kind", "outcome"],
)
LOOK_SECONDS = Histogram(
    "isocenter_operator_look_seconds",
    "Time one look took, AWS calls and the patch of the status included.",
    ["kind"],
)
TRACKED = Gauge(
    "isocenter_operator_tracked_resources",
    "Resources that are not finished and will be looked at again, by kind.",
    ["kind"],
)
PHASE_CHANGES = Counter(
    "isocenter_operator_phase_changes_total",
    "Resources that entered a phase, by kind and phase.",
    ["kind", "phase"],
)
EXECUTIONS_STARTED = Counter(
    "isocenter_operator_executions_started_total",
    "StartPipelineExecution calls that were accepted; a repeat counts again.",
)
IMPORTS_SUBMITTED = Counter(
    "isocenter_operator_imports_submitted_total",
    "StartDICOMImportJob calls that were accepted; a repeat counts again.",
)
