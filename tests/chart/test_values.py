"""Every value of the chart is described, and does something.

All values are tried with a single call of helm: a chart is made of one copy of ours for
every case, each with a single value changed (a chart's alias is a copy of it).
"""

import json
import pathlib
import re
import shutil
import subprocess
from collections import defaultdict
from typing import Any

import pytest
import yaml
from generate.value_rules import OPEN
from support.rendering import CHART, HelmError

# What is tried where "the other boolean" or "one more" would not do, by the end of the
# path; a value that fits the schema and is unlike those of the context.
ALTERNATIVES: dict[str, Any] = {
    "platform.bucket": "other-imaging",
    "platform.datastore_id": "f" * 32,
    "platform.queue_url": "https://sqs.eu-west-1.amazonaws.com/111122223333/other",
    "platform.import_role_arn": "arn:aws:iam::111122223333:role/other",
    "aws.region": "eu-west-2",
    "aws.env": {"AWS_MAX_ATTEMPTS": "7"},
    "aws.credentialsSecret": "other",
    "images.registry": "other.example",
    "images.tag": "9.9.9",
    "images.pullPolicy": "Never",
    "images.pullSecrets": [{"name": "other"}],
    "image.registry": "own.example:5000/path",
    "image.repository": "other/image",
    "image.tag": "7",
    "image.digest": "sha256:" + "f" * 64,
    "config": {"log_level": "ERROR"},
    "tlsSecret": "other-tls",
    "certificate.dnsNames": ["other.example.org"],
    "issuerRef.name": "other",
    "issuerRef.kind": "ClusterIssuer",
    "issuerRef.group": "other.example.org",
    "certificate.duration": "48h",
    "certificate.renewBefore": "24h",
    "storescp.sourceRanges": ["10.99.0.0/16"],
    "service.annotations": {"example.org/other": "yes"},
    "loadBalancer.class": "eks.amazonaws.com/nlb",
    "loadBalancer.scheme": "internal",
    "spool.size": "77Gi",
    "spool.storageClass": "other",
    "fetcher.scratch": "77Gi",
    "resources.requests": {"cpu": "3"},
    "resources.limits": {"memory": "7Gi"},
    "podsMetric.name": "other_metric",
    "podsMetric.averageValue": "7",
    "topologySpread.topologyKeys": ["example.org/rack"],
    "topologySpread.whenUnsatisfiable": "DoNotSchedule",
    "nodeSelector": {"example.org/node": "x"},
    "tolerations": [{"key": "other", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "priorityClassName": "other",
    "podAnnotations": {"example.org/other": "yes"},
    "podLabels": {"example.org/other": "yes"},
    "extraEnv": [{"name": "OTHER", "value": "yes"}],
    "serviceAccount.annotations": {"example.org/other": "yes"},
    "networkPolicy.from": [{"podSelector": {"matchLabels": {"other": "yes"}}}],
    "networkPolicy.egress": [{"ports": [{"port": 9999}]}],
    "dns.ports": [5353],
    "dns.to": [{"ipBlock": {"cidr": "10.99.0.10/32"}}],
    "apiServer.ports": [8443],
    "apiServer.to": [{"ipBlock": {"cidr": "10.99.0.11/32"}}],
    "networkPolicy.aws.ports": [4443],
    "networkPolicy.aws.to": [{"ipBlock": {"cidr": "10.99.0.12/32"}}],
    "podIdentity.ports": [8080],
    "podIdentity.to": [{"ipBlock": {"cidr": "10.99.0.13/32"}}],
    "metrics.from": [{"podSelector": {"matchLabels": {"other": "yes"}}}],
    "networkPolicy.loadBalancers": ["10.99.0.0/24"],
    "viewer.config.stores": [
        {"name": "other", "region": "eu-west-1", "datastore_id": "e" * 32}
    ],
    "viewer.config.proxy_urls": ["https://other.example.org"],
    "oidc.authority": "https://other.example.org",
    "oidc.client_id": "other",
    "oidc.scope": "openid",
    "oidc.origins": ["https://other.example.org"],
    "viewer.config.ohif": {"showStudyList": False},
    "ingress.className": "other",
    "ingress.host": "other.example.org",
    "ingress.annotations": {"example.org/other": "yes"},
    "alb.scheme": "internal",
    "alb.certificateArn": "arn:aws:acm:eu-west-1:111122223333:certificate/other",
    "alb.sslPolicy": "ELBSecurityPolicy-TLS13-1-3-2021-06",
    "alb.inboundCidrs": ["10.99.0.0/16"],
    "alb.controller": "ingress.k8s.aws/alb",
    "pipeline.name": "other-pipeline",
    "fetchRoleArn": "arn:aws:iam::111122223333:role/other",
    "trainRoleArn": "arn:aws:iam::111122223333:role/other",
    "kmsKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/other",
    "pipeline.roleArn": "arn:aws:iam::111122223333:role/other",
    "podMonitor.interval": "77s",
    "podMonitor.labels": {"example.org/other": "yes"},
    "rules.labels": {"example.org/other": "yes"},
    "rules.alertLabels": {"other": "yes"},
    "rules.disabled": ["IsocenterPodNotScraped"],
    "rules.runbookUrl": "https://other.example.org/troubleshooting",
    "dashboards.labels": {"other": "yes"},
    "dashboards.annotations": {"other": "yes"},
}
# What has to be so as well, for a value to do something.
CONDITIONS: dict[str, dict[str, Any]] = {
    "storescp.replicas": {"autoscaling": {"enabled": False}},
    "tlmProxy.replicas": {"autoscaling": {"enabled": False}},
    "viewer.replicas": {"autoscaling": {"enabled": False}},
    "operator.image.tag": {"image": {"digest": ""}},
    "viewer.autoscaling.podsMetric.averageValue": {
        "autoscaling": {"podsMetric": {"name": "requests"}}
    },
    "service.nodePort": {"service": {"type": "NodePort"}},
}
# These change only what the copies leave out for speed.
WHOLE = ("crds.", "monitoring.dashboards.")
LEAN = {
    # Of no region, so that the region can change.
    "platform": {"queue_url": "https://sqs.example.org/111122223333/events"},
    "crds": {"enabled": False},
    "monitoring": {"dashboards": {"enabled": False}},
}
# Members of these are tried together: none of them changes another's manifests.
BUNDLES = (
    ("storescp", "viewer", "intake", "pipeline"),
    ("tlmProxy", "operator", "fetcher"),
)
FOLDERS = {"tlmProxy": "tlm-proxy"}

Files = dict[str, str]
Path = tuple[str, ...]


def leaves(values: dict[str, Any], path: Path = ()) -> dict[Path, Any]:
    found: dict[Path, Any] = {}
    for key, value in values.items():
        here = (*path, key)
        if isinstance(value, dict) and value and key not in OPEN:
            found |= leaves(value, here)
        else:
            found[here] = value
    return found


VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
LEAVES = leaves(VALUES)


def nested(path: Path, value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return value


def merged(values: Any, over: Any) -> Any:
    if not (isinstance(values, dict) and isinstance(over, dict)):
        return over
    both = {key: merged(values[key], over[key]) for key in values.keys() & over.keys()}
    return {**values, **over, **both}


def at(values: Any, path: Path) -> Any:
    for key in path:
        values = values[key]
    return values


def by_end(table: dict[str, Any], path: Path) -> Any:
    for start in range(len(path)):
        if ".".join(path[start:]) in table:
            return table[".".join(path[start:])]
    return None


def alternative(path: Path, now: Any) -> Any:
    if path[-2:] == ("service", "type"):
        return "NodePort" if now == "ClusterIP" else "ClusterIP"
    told = by_end(ALTERNATIVES, path)
    if told is not None:
        return told
    if isinstance(now, bool):
        return not now
    if isinstance(now, int):
        return now + 1
    if isinstance(now, str):
        return f"{now}other"
    raise AssertionError(f"{'.'.join(path)}: say in ALTERNATIVES what to try")


def context(path: Path) -> str:
    """The profile in which a value does something."""
    if path[:2] == ("ingress", "alb") or path[-2:] == ("loadBalancer", "scheme"):
        return "aws"
    return "everything"


def bundles() -> list[list[Path]]:
    """Values that are tried together."""
    found: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for path in LEAVES:
        bundle = next((b[0] for b in BUNDLES if path[0] in b), path[0])
        found[bundle, context(path), *path[1:]].append(path)
    return list(found.values())


def case(paths: list[Path], profiles: dict[str, Any]) -> tuple[Any, Any]:
    """The chart's values before and after a change of these."""
    before = profiles[context(paths[0])]
    if not ".".join(paths[0]).startswith(WHOLE):
        before = merged(before, LEAN)
    for path in paths:
        conditions = by_end(CONDITIONS, path) or {}
        before = merged(before, nested(path[:1], conditions))
    after = before
    for path in paths:
        after = merged(after, nested(path, alternative(path, at(before, path))))
    return before, after


def render_all(folder: pathlib.Path, copies: dict[str, Any]) -> dict[str, Files]:
    """Manifests by file, for each copy's values."""
    shutil.copytree(CHART, folder / "charts" / "isocenter")
    dependencies = [
        {"name": "isocenter", "version": "0.1.0", "alias": alias} for alias in copies
    ]
    chart = {
        "apiVersion": "v2",
        "name": "all",
        "version": "1.0.0",
        "dependencies": dependencies,
    }
    (folder / "Chart.yaml").write_text(json.dumps(chart))
    (folder / "values.yaml").write_text(json.dumps(copies))
    done = subprocess.run(
        ["helm", "template", "isocenter", str(folder), "--namespace", "imaging"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HelmError(done.stderr)
    found: dict[str, Files] = {alias: {} for alias in copies}
    for document in re.split(r"^---\n", done.stdout, flags=re.MULTILINE):
        source = re.match(r"# Source: all/charts/(\w+)/templates/(\S+)\n", document)
        if source:
            alias, file = source.groups()
            files = found[alias]
            # The alias is the copy's chart name.
            files[file] = files.get(file, "") + document.replace(alias, "isocenter")
    return found


@pytest.fixture(scope="module")
def changed(tmp_path_factory) -> dict[Path, set[str]]:
    """Files that differ after a change of each value."""
    profiles = {
        name: merged(
            VALUES, yaml.safe_load((CHART / "ci" / f"{name}.yaml").read_text())
        )
        for name in ("everything", "aws")
    }
    copies: dict[str, Any] = {}
    aliases: dict[str, str] = {}

    def copy(values: Any) -> str:
        text = json.dumps(values, sort_keys=True)
        alias = aliases.setdefault(text, f"copy{len(aliases):03}x")
        copies[alias] = values
        return alias

    pairs = [(paths, *map(copy, case(paths, profiles))) for paths in bundles()]
    rendered = render_all(tmp_path_factory.mktemp("all"), copies)
    found: dict[Path, set[str]] = {}
    for paths, before, after in pairs:
        one, other = rendered[before], rendered[after]
        differ = {f for f in one.keys() | other.keys() if one.get(f) != other.get(f)}
        for path in paths:
            folder = FOLDERS.get(path[0], path[0])
            bundled = len(paths) > 1
            found[path] = {
                f for f in differ if not bundled or f.startswith(f"{folder}/")
            }
    return found


@pytest.mark.timeout(300)
def test_every_value_changes_a_manifest(changed):
    assert {".".join(p) for p, files in changed.items() if not files} == set()
    assert set(changed) == set(LEAVES)


def test_every_value_is_described():
    schema = json.loads((CHART / "values.schema.json").read_text())
    missing = []

    def look(entry: dict[str, Any], path: Path) -> None:
        if path and len(entry.get("description", "")) < len("A b."):
            missing.append(".".join(path))
        if "properties" in entry:
            assert entry["additionalProperties"] is False or not path, path
        for key, member in entry.get("properties", {}).items():
            look(member, (*path, key))

    look(schema, ())
    assert missing == []
    described = leaves_of_schema(schema)
    assert {p for p in LEAVES if not any(p[: len(d)] == d for d in described)} == set()


def leaves_of_schema(entry: dict[str, Any], path: Path = ()) -> set[Path]:
    if "properties" not in entry:
        return {path}
    found: set[Path] = set()
    for key, member in entry["properties"].items():
        found |= leaves_of_schema(member, (*path, key))
    # A component's settings have no values of their own in values.yaml.
    return found | ({path} if path and path[-1] == "config" else set())


def components() -> list[str]:
    return [name for name, values in VALUES.items() if "podLabels" in values]


def test_components_have_the_same_members_in_the_same_order():
    order = list(dict.fromkeys(k for name in components() for k in VALUES[name]))
    ranks = {key: rank for rank, key in enumerate(order)}
    common = [
        "resources",
        "nodeSelector",
        "extraEnv",
        "serviceAccount",
        "networkPolicy",
    ]
    for name in components():
        keys = list(VALUES[name])
        assert keys[0] == "enabled"
        assert [k for k in keys if k in common] == common, name
        tail = keys[keys.index("resources") :]
        assert tail == sorted(tail, key=ranks.__getitem__), name
