"""Dashboards, alerts and the PodMonitor: that they ask for what there is."""

import json
import shutil
import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml
from generate.metrics_reference import SOURCES, WORKERS, metrics_of
from support.rendering import CHART, render, workloads

ON = (
    "monitoring.podMonitor.enabled=true",
    "monitoring.rules.enabled=true",
    "monitoring.dashboards.enabled=true",
)
SCRAPED = frozenset(
    {"namespace", "pod", "container", "job", "instance", "endpoint", "component"}
)
"""Labels that a PodMonitor's targets have; `component` is ours."""
OTHERS = {
    "up": SCRAPED,
    # kube-state-metrics, docs/metrics/workload/pod-metrics.md.
    "kube_pod_status_ready": frozenset({"namespace", "pod", "uid", "condition"}),
    "kube_pod_status_phase": frozenset({"namespace", "pod", "uid", "phase"}),
}
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed"
)
CASES = Path(__file__).parent / "alerts.yaml"


@pytest.fixture(scope="session")
def monitored():
    return render(CHART / "ci" / "minimal.yaml", sets=ON)


@pytest.fixture(scope="session")
def known():
    """Labels of every series by its name."""
    ours = {
        name: labels | SCRAPED | ({"worker"} if process in WORKERS else set())
        for process in SOURCES
        for metric in metrics_of(process)
        for name, labels in metric.series.items()
    }
    return {**OTHERS, **ours}


def alerts(manifests):
    (group,) = manifests["PrometheusRule", "isocenter"]["spec"]["groups"]
    return group["rules"]


def boards(manifests):
    return {
        name: json.loads(text)
        for (kind, _), manifest in manifests.items()
        if kind == "ConfigMap" and "grafana_dashboard" in manifest["metadata"]["labels"]
        for name, text in manifest["data"].items()
    }


def problems(expression: str, known) -> list[str]:
    """What an expression asks for that there isn't."""
    found = []

    def labels_below(node) -> set[str]:
        below: set[str] = set()

        def collect(each):
            if isinstance(each, promql_parser.VectorSelector):
                below.update(known.get(each.name, ()))

        promql_parser.walk(node, collect)
        return below

    def look(node):
        if isinstance(node, promql_parser.VectorSelector):
            if node.name not in known:
                found.append(f"no metric {node.name}")
                return
            found.extend(
                f"{node.name} has no label {matcher.name}"
                for matcher in node.matchers.matchers
                if matcher.name not in known[node.name]
            )
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            found.extend(
                f"nothing to group by {label}"
                for label in node.modifier.labels
                if label not in labels_below(node.expr)
            )

    promql_parser.walk(promql_parser.parse(expression), look)
    return found


def test_nothing_of_it_is_there_by_default():
    plain = render(CHART / "ci" / "minimal.yaml")
    kinds = {kind for kind, _ in plain}
    assert not kinds & {"PodMonitor", "PrometheusRule", "ServiceMonitor"}
    assert boards(plain) == {}


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("isocenter_storescp_nothing", "no metric isocenter_storescp_nothing"),
        (
            'isocenter_storescp_stores_total{code="0000"}',
            "isocenter_storescp_stores_total has no label code",
        ),
        (
            "sum by (route) (isocenter_storescp_tasks_waiting)",
            "nothing to group by route",
        ),
    ],
)
def test_a_wrong_expression_is_found(known, expression, said):
    assert problems(expression, known) == [said]


def test_alerts_ask_for_metrics_that_there_are(monitored, known):
    rules = alerts(monitored)
    assert len(rules) > 10
    wrong = {r["alert"]: problems(r["expr"], known) for r in rules}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_dashboards_ask_for_metrics_that_there_are(monitored, known):
    drawn = boards(monitored)
    assert set(drawn) == {"imports-and-runs.json", "reading.json", "receiving.json"}
    for name, board in drawn.items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                # Grafana's variable stands for a duration.
                text = target["expr"].replace("$__rate_interval", "5m")
                assert problems(text, known) == [], f"{name}: {panel['title']}"
                assert 'namespace="$namespace"' in text, f"{name}: {panel['title']}"


def test_every_metric_of_a_failure_is_watched(monitored):
    """What an operator must act on is an alert, not only a line."""
    text = " ".join(rule["expr"] for rule in alerts(monitored))
    for metric in (
        "isocenter_storescp_instances_lost_total",
        "isocenter_storescp_spool_free_bytes",
        "isocenter_storescp_tasks_waiting",
        "isocenter_intake_last_sweep_timestamp_seconds",
        "isocenter_operator_phase_changes_total",
        "isocenter_tlm_proxy_upstream_circuit",
        "kube_pod_status_ready",
    ):
        assert metric in text


def test_alerts_look_at_their_own_namespace_and_have_a_runbook(monitored):
    for rule in alerts(monitored):
        selectors = rule["expr"].count("{")
        assert rule["expr"].count('{namespace="imaging"') == selectors, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["runbook_url"] == (
            f"docs/troubleshooting.md#alert-{rule['alert'].lower()}"
        )


def test_thresholds_follow_the_settings():
    manifests = render(
        CHART / "ci" / "minimal.yaml",
        sets=(
            *ON,
            "storescp.config.spool_min_free_bytes=4294967296",
            "intake.config.sweep_interval_s=60",
        ),
    )
    by_name = {rule["alert"]: rule["expr"] for rule in alerts(manifests)}
    assert by_name["IsocenterSpoolFull"].endswith("< 4294967296")
    assert by_name["IsocenterSweepOverdue"].endswith("> 180")


def test_values_of_monitoring_reach_the_manifests():
    manifests = render(
        CHART / "ci" / "minimal.yaml",
        sets=(
            *ON,
            "monitoring.podMonitor.interval=10s",
            "monitoring.podMonitor.labels.release=prometheus",
            "monitoring.rules.labels.release=rules",
            "monitoring.rules.alertLabels.team=imaging",
            "monitoring.rules.disabled={IsocenterReadsFailing}",
            "monitoring.rules.runbookUrl=https://docs.example/troubleshooting/",
            "monitoring.dashboards.labels.board=yes",
            "monitoring.dashboards.annotations.grafana_folder=imaging",
        ),
    )
    monitor = manifests["PodMonitor", "isocenter"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["podMetricsEndpoints"][0]["interval"] == "10s"
    rule = manifests["PrometheusRule", "isocenter"]
    assert rule["metadata"]["labels"]["release"] == "rules"
    first = alerts(manifests)[0]
    assert first["labels"]["team"] == "imaging"
    assert first["annotations"]["runbook_url"].startswith("https://docs.example/")
    assert "IsocenterReadsFailing" not in {r["alert"] for r in alerts(manifests)}
    board = manifests["ConfigMap", "isocenter-dashboard-reading"]["metadata"]
    assert board["labels"]["board"] == "yes"
    assert board["annotations"] == {"grafana_folder": "imaging"}


def test_the_monitor_reads_every_process(monitored):
    spec = monitored["PodMonitor", "isocenter"]["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    chosen = spec["selector"]["matchLabels"].items()
    read = set()
    for name, pod in workloads(monitored).items():
        assert chosen <= pod["metadata"]["labels"].items(), name
        for container in pod["spec"]["containers"]:
            if endpoint["port"] in {p["name"] for p in container.get("ports", ())}:
                read.add(name)
    assert read >= {f"isocenter-{process}" for process in SOURCES}


def promtool(*arguments):
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def rules(monitored, tmp_path):
    """The alerts' file, as Prometheus would read it."""
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(monitored["PrometheusRule", "isocenter"]["spec"]))
    return file


@needs_promtool
def test_prometheus_reads_the_alerts(rules):
    promtool("check", "rules", str(rules))


def test_every_alert_has_a_case(monitored):
    cases = yaml.safe_load(CASES.read_text())["tests"]
    fires = {
        check["alertname"]
        for case in cases
        for check in case["alert_rule_test"]
        if check["exp_alerts"]
    }
    assert fires == {rule["alert"] for rule in alerts(monitored)}


@needs_promtool
def test_alerts_fire_when_they_should(rules, tmp_path):
    spec = yaml.safe_load(rules.read_text())
    for rule in spec["groups"][0]["rules"]:
        del rule["annotations"]  # texts: the cases say what fires, and with what labels
    rules.write_text(yaml.safe_dump(spec))
    cases = yaml.safe_load(CASES.read_text()) | {"rule_files": [str(rules)]}
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump(cases))
    promtool("test", "rules", str(file))
