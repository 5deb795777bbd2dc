"""What the dashboards draw: a table for each part. NS is the namespace's matcher."""

from typing import NamedTuple


class Panel(NamedTuple):
    """One graph: title, Grafana's unit, what it tells, (legend, PromQL) of lines."""

    title: str
    unit: str
    about: str
    series: tuple[tuple[str, str], ...]


class Part(NamedTuple):
    """One dashboard."""

    name: str
    title: str
    about: str
    panels: tuple[Panel, ...]


def _rate(metric: str, by: str = "", where: str = "") -> str:
    matcher = f"NS, {where}" if where else "NS"
    return f"sum by ({by}) (rate({metric}{{{matcher}}}[$__rate_interval]))"


def _quantile(share: float, metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    rate = f"rate({metric}_bucket{{NS}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by ({labels}) ({rate}))"


_SCP, _PROXY = "isocenter_storescp_", "isocenter_tlm_proxy_"
_OPERATOR, _INTAKE, _FETCHER = (
    "isocenter_operator_",
    "isocenter_intake_",
    "isocenter_fetcher_",
)
_HITS = _rate(f"{_PROXY}cache_hits_total")
_HIT_SHARE = f"{_HITS} / ({_HITS} + {_rate(f'{_PROXY}cache_misses_total')})"

RECEIVING = Part(
    "receiving",
    "receiving",
    "Associations, instances and the spool of the DICOM Store SCP.",
    (
        Panel(
            "Associations",
            "short",
            "Established now.",
            (("{{pod}}", f"sum without (worker) ({_SCP}associations_active{{NS}})"),),
        ),
        Panel(
            "Associations by outcome",
            "cps",
            "How they ended, or why they did not begin.",
            (("{{outcome}}", _rate(f"{_SCP}associations_total", "outcome")),),
        ),
        Panel(
            "Refused before an association",
            "cps",
            "Connections that became none, by reason; probes don't count.",
            (("{{reason}}", _rate(f"{_SCP}associations_refused_total", "reason")),),
        ),
        Panel(
            "C-STORE responses",
            "cps",
            "0000 is success; the others are in the conformance statement.",
            (
                ("{{status}}", _rate(f"{_SCP}stores_total", "status")),
                ("same instance again", _rate(f"{_SCP}duplicates_total")),
                ("same UID, other bytes", _rate(f"{_SCP}conflicts_total")),
                (
                    "quarantine: {{reason}}, {{outcome}}",
                    _rate(f"{_SCP}quarantined_total", "reason, outcome"),
                ),
            ),
        ),
        Panel(
            "Time to a durable copy",
            "s",
            "From the last byte of an instance to the fsync that is acknowledged.",
            (
                ("median", _quantile(0.5, f"{_SCP}store_seconds")),
                ("95 %", _quantile(0.95, f"{_SCP}store_seconds")),
            ),
        ),
        Panel(
            "Bytes",
            "Bps",
            "Acknowledged, and put to S3: if the second stays below, the spool fills.",
            (
                ("acknowledged", _rate(f"{_SCP}stored_bytes_total")),
                ("put to S3", _rate(f"{_SCP}uploaded_bytes_total")),
            ),
        ),
        Panel(
            "Free space of the spool",
            "bytes",
            "Under storescp.config.spool_min_free_bytes instances are refused.",
            (("{{pod}}", f"min without (worker) ({_SCP}spool_free_bytes{{NS}})"),),
        ),
        Panel(
            "Waiting for S3",
            "short",
            "Instances and manifests that are on the volume only.",
            (("{{pod}}", f"sum without (worker) ({_SCP}tasks_waiting{{NS}})"),),
        ),
        Panel(
            "Age of what waits for S3",
            "s",
            "Of the oldest batch whose manifest is not in S3.",
            (
                (
                    "{{pod}}",
                    f"max without (worker) ({_SCP}spool_oldest_seconds{{NS}})",
                ),
            ),
        ),
        Panel(
            "Puts to S3",
            "cps",
            "Failed ones are repeated.",
            (("{{kind}} {{outcome}}", _rate(f"{_SCP}uploads_total", "kind, outcome")),),
        ),
        Panel(
            "Batches",
            "cps",
            "Closed by reason, and sealed: their manifest is in S3.",
            (
                ("closed: {{reason}}", _rate(f"{_SCP}batches_closed_total", "reason")),
                ("sealed", _rate(f"{_SCP}batches_sealed_total")),
            ),
        ),
        Panel(
            "Instances lost",
            "short",
            "Acknowledged, and gone from the volume. Must be 0.",
            (("{{pod}}", f"sum without (worker) ({_SCP}instances_lost_total{{NS}})"),),
        ),
    ),
)
IMPORTS_AND_RUNS = Part(
    "imports-and-runs",
    "imports and runs",
    "From AWS's events to imports, training runs and datasets.",
    (
        Panel(
            "Events",
            "cps",
            "What became of the queue's messages; left ones go to the dead-letter "
            "queue, which only CloudWatch sees.",
            (("{{outcome}}", _rate(f"{_INTAKE}messages_total", "outcome")),),
        ),
        Panel(
            "Resources made",
            "cps",
            "By what asked for them. Many by the sweep: events get lost.",
            (
                (
                    "{{kind}} by {{by}}",
                    _rate(f"{_INTAKE}resources_created_total", "kind, by"),
                ),
            ),
        ),
        Panel(
            "Image sets that made no run",
            "cps",
            "By reason.",
            (("{{reason}}", _rate(f"{_INTAKE}skipped_total", "reason")),),
        ),
        Panel(
            "Age of the last sweep",
            "s",
            "Since one last went through.",
            (
                (
                    "age",
                    f"time() - max({_INTAKE}last_sweep_timestamp_seconds{{NS}})",
                ),
            ),
        ),
        Panel(
            "Unfinished resources",
            "short",
            "Which the operator looks at again.",
            (("{{kind}}", f"sum by (kind) ({_OPERATOR}tracked_resources{{NS}})"),),
        ),
        Panel(
            "Phases entered",
            "cps",
            "By kind and phase.",
            (
                (
                    "{{kind}} {{phase}}",
                    _rate(f"{_OPERATOR}phase_changes_total", "kind, phase"),
                ),
            ),
        ),
        Panel(
            "Starts",
            "cps",
            "StartPipelineExecution and StartDICOMImportJob calls that were accepted.",
            (
                ("executions", _rate(f"{_OPERATOR}executions_started_total")),
                ("imports", _rate(f"{_OPERATOR}imports_submitted_total")),
            ),
        ),
        Panel(
            "Looks",
            "cps",
            "Of the operator at its resources; errors repeat with back-off.",
            (
                (
                    "{{kind}} {{outcome}}",
                    _rate(f"{_OPERATOR}looks_total", "kind, outcome"),
                ),
            ),
        ),
        Panel(
            "Duration of a look",
            "s",
            "95 %, AWS calls included.",
            (("{{kind}}", _quantile(0.95, f"{_OPERATOR}look_seconds", "kind")),),
        ),
        Panel(
            "Frames fetched",
            "cps",
            "By the fetcher service; the pipeline's own fetches are not seen here.",
            (("{{outcome}}", _rate(f"{_FETCHER}frames_total", "outcome")),),
        ),
        Panel(
            "Jobs of the fetcher service",
            "short",
            "By status.",
            (("{{status}}", f"sum by (status) ({_FETCHER}jobs{{NS}})"),),
        ),
        Panel(
            "Datasets",
            "cps",
            "Of the fetcher service, by outcome.",
            (("{{outcome}}", _rate(f"{_FETCHER}datasets_total", "outcome")),),
        ),
    ),
)
READING = Part(
    "reading",
    "reading",
    "The tile proxy between viewers and HealthImaging.",
    (
        Panel(
            "Answers",
            "reqps",
            "By status.",
            (("{{status}}", _rate(f"{_PROXY}requests_total", "status")),),
        ),
        Panel(
            "Time to the end of an answer",
            "s",
            "95 %, by route.",
            (("{{route}}", _quantile(0.95, f"{_PROXY}request_seconds", "route")),),
        ),
        Panel(
            "Requests under way",
            "short",
            "",
            (("{{pod}}", f"sum by (pod) ({_PROXY}requests_under_way{{NS}})"),),
        ),
        Panel(
            "Bytes to clients",
            "Bps",
            "Of frames, by where they came from.",
            (("{{source}}", _rate(f"{_PROXY}sent_bytes_total", "source")),),
        ),
        Panel(
            "Frames found in the cache",
            "percentunit",
            "Of all frames asked for.",
            (("share", _HIT_SHARE),),
        ),
        Panel(
            "Cache",
            "bytes",
            "Bytes in use, by pod.",
            (("{{pod}}", f"sum by (pod) ({_PROXY}cache_bytes{{NS}})"),),
        ),
        Panel(
            "GetImageFrame",
            "cps",
            "Calls by outcome; readers that joined one on its way made none.",
            (
                ("{{outcome}}", _rate(f"{_PROXY}upstream_calls_total", "outcome")),
                ("joined", _rate(f"{_PROXY}joined_total")),
            ),
        ),
        Panel(
            "First byte of GetImageFrame",
            "s",
            "",
            (
                ("median", _quantile(0.5, f"{_PROXY}upstream_first_byte_seconds")),
                ("95 %", _quantile(0.95, f"{_PROXY}upstream_first_byte_seconds")),
            ),
        ),
        Panel(
            "Searches and metadata",
            "cps",
            "SearchImageSets, GetImageSetMetadata and DICOMweb calls.",
            (
                (
                    "{{operation}} {{outcome}}",
                    _rate(f"{_PROXY}metadata_calls_total", "operation, outcome"),
                ),
            ),
        ),
        Panel(
            "Allowed and throttled calls",
            "cps",
            "The rate that is allowed now; throttling by HealthImaging lowers it.",
            (
                (
                    "allowed: {{service}} {{region}}",
                    f"sum by (service, region) ({_PROXY}upstream_rate{{NS}})",
                ),
                (
                    "throttled: {{service}} {{region}}",
                    _rate(f"{_PROXY}upstream_throttled_total", "service, region"),
                ),
            ),
        ),
        Panel(
            "Turned away",
            "cps",
            "Calls not made: the queue was full, the deadline near, the circuit open.",
            (
                (
                    "{{service}} {{reason}}",
                    _rate(f"{_PROXY}upstream_turned_away_total", "service, reason"),
                ),
            ),
        ),
        Panel(
            "Circuit",
            "short",
            "0: calls are made; 1: one call probes; 2: none is made.",
            (
                (
                    "{{pod}} {{service}} {{region}}",
                    f"max by (pod, service, region) ({_PROXY}upstream_circuit{{NS}})",
                ),
            ),
        ),
    ),
)
PARTS = (RECEIVING, IMPORTS_AND_RUNS, READING)
