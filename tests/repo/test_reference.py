"""The generated references: that they tell all there is."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from generate.http_reference import TITLES
from generate.metrics_reference import SOURCES, metrics_of
from generate.processes import PROCESSES
from generate.steps_reference import PARAMETERS

from isocenter.core.log import FIELDS
from isocenter.operator.intake.event_patterns import AWAITED
from isocenter.operator.intake.reducer import SKIP_MEANINGS, Skip
from isocenter.pipeline.definition import template
from isocenter.storescp.status import MEANING, StoreStatus

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
SOURCE_FOLDERS = [
    ROOT / "libs/core/src",
    *sorted((ROOT / "services").glob("*/src")),
    ROOT / "operator/src",
    ROOT / "pipeline/src",
]
MODULES = sorted(
    path
    for folder in SOURCE_FOLDERS
    for path in folder.rglob("*.py")
    if "/testing/" not in str(path)
)


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


@cache
def nodes(kind: type[ast.AST]) -> list[tuple[Path, ast.AST]]:
    """All nodes of a kind in the product's modules."""
    found: list[tuple[Path, ast.AST]] = []
    for path in MODULES:
        found += [
            (path, node) for node in ast.walk(tree(path)) if isinstance(node, kind)
        ]
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def calls(*names: str):
    """Calls of functions of these names, with their modules."""
    for path, node in nodes(ast.Call):
        if ast.unparse(node.func) in names:
            yield path, node


def test_metrics_are_made_in_the_modules_that_the_reference_reads():
    read = {source.partition(":")[0] for source in SOURCES.values()}
    made = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path, call in calls("Counter", "Gauge", "Histogram", "Summary", "Info")
        for folder in SOURCE_FOLDERS
        if path.is_relative_to(folder) and len(call.args) > 1
    }
    assert made == read


def test_every_process_has_metrics_and_they_have_its_name():
    assert set(SOURCES) == {process.title for process in PROCESSES}
    for process in SOURCES:
        prefix = f"isocenter_{process.replace('-', '_')}_"
        names = [metric.name for metric in metrics_of(process)]
        assert names
        assert all(name.startswith(prefix) for name in names), process


def test_collectors_of_our_own_are_found_too():
    labels = {m.name: m.labels for m in metrics_of("tlm-proxy")}
    assert labels["isocenter_tlm_proxy_requests_total"] == ("route", "status")
    assert labels["isocenter_tlm_proxy_cache_hits_total"] == ()


def test_no_log_line_has_a_field_that_would_be_dropped():
    dropped = {
        f"{path.relative_to(ROOT)}: {key.value}"
        for path, node in nodes(ast.keyword)
        if node.arg == "extra"
        for mapping in ast.walk(node.value)
        if isinstance(mapping, ast.Dict)
        for key in mapping.keys
        if isinstance(key, ast.Constant) and key.value not in FIELDS
    }
    assert dropped == set()


def test_awaited_events_are_those_that_the_local_rules_deliver():
    seed = (ROOT / "charts/devcloud/values.yaml").read_text()
    delivered = {
        (pattern["source"][0], kind)
        for text in re.findall(r"EventPattern: '(.*)'", seed)
        for pattern in [json.loads(text)]
        for kind in pattern["detail-type"]
    }
    awaited = {(a.source, kind) for a in AWAITED for kind in a.detail_types}
    assert delivered == awaited


def test_every_exit_code_that_is_given_has_a_name():
    given = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path, call in calls("sys.exit")
        if call.args and isinstance(call.args[0], ast.Constant)
    ]
    assert given == []


def test_every_answer_of_c_store_has_a_meaning():
    assert set(MEANING) == set(StoreStatus)
    assert set(SKIP_MEANINGS) == set(Skip)


def test_the_pages_tell_what_the_operator_passes():
    declared = {parameter["Name"] for parameter in template()["Parameters"]}
    assert declared == set(PARAMETERS)


@pytest.mark.parametrize("service", TITLES)
def test_every_path_is_on_the_page(service):
    document = json.loads(page(f"openapi/{service}.json"))
    text = page("http-api.md")
    assert document["paths"]
    for path, item in document["paths"].items():
        headings = re.findall(
            rf"^### ([A-Z, ]+) {re.escape(path)}$", text, re.MULTILINE
        )
        told = {method for heading in headings for method in heading.split(", ")}
        assert told == {method.upper() for method in item}, path


def test_links_between_the_pages_lead_somewhere():
    pages = [*REFERENCE.glob("*.md"), ROOT / "docs" / "conformance.md"]
    missing = []
    for source in pages:
        for target, _, anchor in (
            link.partition("#")
            for link in re.findall(r"\]\(([^)]+)\)", source.read_text())
            if "://" not in link
        ):
            file = source.parent / target if target else source
            if not file.exists():
                missing.append(f"{source.name}: {target}")
            elif anchor and anchor not in anchors(file.read_text()):
                missing.append(f"{source.name}: {target}#{anchor}")
    assert missing == []


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as Markdown's toc extension makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())
        for heading in headings
    }


def test_every_alert_has_its_chapter_in_troubleshooting():
    source = (ROOT / "charts/isocenter/templates/monitoring/_alerts.tpl").read_text()
    names = re.findall(r"^- alert: (\w+)$", source, re.MULTILINE)
    assert names
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    missing = [
        name for name in names if f"alert-{name.lower()}" not in anchors_and_ids(text)
    ]
    assert missing == []


def anchors_and_ids(text: str) -> set[str]:
    return anchors(text) | set(re.findall(r"\{:? *#([\w-]+)", text))


def test_the_chart_names_every_dashboard():
    made = {path.stem for path in (ROOT / "charts/isocenter/dashboards").glob("*.json")}
    assert made == {"receiving", "imports-and-runs", "reading"}
    for path in (ROOT / "charts/isocenter/dashboards").glob("*.json"):
        assert yaml.safe_load(path.read_text())["uid"] == f"isocenter-{path.stem}"


def test_metrics_that_are_named_anywhere_exist():
    """In values, templates and pages: an autoscaler's metric, a how-to's query."""
    there = {
        name for process in SOURCES for m in metrics_of(process) for name in m.series
    }
    prefixes = "|".join(process.replace("-", "_") for process in SOURCES)
    named = {
        f"{path.relative_to(ROOT)}: {name}"
        for folder in ("docs", "charts/isocenter")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".md", ".yaml", ".tpl"}
        for name in re.findall(
            rf"\bisocenter_(?:{prefixes})_[a-z_]*[a-z]\b", path.read_text()
        )
        if name not in there
    }
    # A family's name without its series' suffix is how a page speaks of it.
    families = {m.name for process in SOURCES for m in metrics_of(process)}
    assert {n for n in named if n.rpartition(": ")[2] not in families} == set()
