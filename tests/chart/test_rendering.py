"""The product chart as helm renders it."""

import json
import re

import pytest
import yaml
from generate.processes import PROCESSES
from support.rendering import CHART, HelmError, environment, render, workloads

from isocenter.storescp.settings import RENAMED

NAMES = {
    "storescp": "isocenter-storescp",
    "tlmProxy": "isocenter-tlm-proxy",
    "fetcher": "isocenter-fetcher",
    "operator": "isocenter-operator",
    "intake": "isocenter-intake",
}


def test_every_pod_is_restricted(manifests):
    for name, pod in workloads(manifests).items():
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["spec"]["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name


def test_services_select_pods_and_their_ports_exist(manifests):
    for (kind, name), service in manifests.items():
        if kind != "Service":
            continue
        selector = service["spec"]["selector"].items()
        chosen = [
            pod
            for pod in workloads(manifests).values()
            if selector <= pod["metadata"]["labels"].items()
        ]
        assert len(chosen) == 1, name
        ports = {p["name"] for p in chosen[0]["spec"]["containers"][0]["ports"]}
        assert {p["targetPort"] for p in service["spec"]["ports"]} <= ports


def test_service_accounts_exist(manifests):
    for name, pod in workloads(manifests).items():
        account = pod["spec"]["serviceAccountName"]
        assert ("ServiceAccount", account) in manifests, name


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: p.component)
def test_environment_loads_as_settings(manifests, process, monkeypatch):
    pod = workloads(manifests)[NAMES[process.component]]
    env = environment(pod)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    if "namespace" in process.filled:
        monkeypatch.setenv(f"{process.prefix}NAMESPACE", "imaging")
    settings = process.settings()
    mine = {name for name in env if name.startswith(process.prefix)}
    fields = {
        f"{process.prefix}{field}".upper() for field in type(settings).model_fields
    }
    assert mine <= fields
    for field in process.filled - {"namespace"}:
        assert f"{process.prefix}{field}".upper() in mine, "the chart fills it in"


def test_settings_reach_the_process():
    manifests = render(CHART / "ci" / "everything.yaml")
    env = environment(workloads(manifests)["isocenter-storescp"])
    assert env["STORESCP_AE_TITLE"] == "IMAGING"
    assert env["STORESCP_SCP_PORT"] == "11112"
    assert env["AWS_REGION"] == "eu-west-1"


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("storescp.config.ae_titel=X", "ae_titel"),
        ("storescp.imagee=x", "imagee"),
        ("storescp.image=registry.example/storescp:1", "image"),
        ("operator.config.bucket=x", "bucket"),
        ("tlmProxy.replicas=many", "replicas"),
        ("storescp.service.type=Magic", "type"),
        ("platform.buckets=x", "buckets"),
        ("viewer.config.oidc.audience=x", "audience"),
        ("viewer.config.stores[0].regoin=eu-west-1", "regoin"),
        ("viewer.config.proxy_urls[0]=tiles.example.org", "proxy_urls"),
        ("ingress.hosts=x", "hosts"),
    ],
)
def test_a_typo_is_refused_by_name(minimal, setting, named):
    with pytest.raises(HelmError, match=named):
        render(minimal, sets=(setting,))


@pytest.mark.parametrize(
    "value",
    [
        "platform.bucket",
        "platform.datastore_id",
        "platform.queue_url",
        "platform.import_role_arn",
        "aws.region",
        "images.registry",
        "storescp.image.repository",
        "storescp.tlsSecret",
    ],
)
def test_a_missing_value_is_named(minimal, value):
    with pytest.raises(HelmError, match=f"{re.escape(value)} is required"):
        render(minimal, sets=(f"{value}=",))


def test_components_can_be_left_out(minimal):
    off = ("storescp", "tlmProxy", "viewer", "fetcher", "operator", "intake")
    manifests = render(minimal, sets=tuple(f"{name}.enabled=false" for name in off))
    kinds = {kind for kind, _ in manifests}
    assert kinds == {"CustomResourceDefinition"}


def test_crds_are_kept_unless_told_otherwise(minimal):
    key = ("CustomResourceDefinition", "trainingruns.isocenter.dev")
    kept = render(minimal)[key]
    assert kept["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    bare = render(minimal, sets=("crds.keep=false",))[key]
    assert "helm.sh/resource-policy" not in bare["metadata"].get("annotations", {})
    assert key not in render(minimal, sets=("crds.enabled=false",))


def test_every_value_is_described_or_a_plain_member():
    text = (CHART / "values.yaml").read_text()
    for component in yaml.safe_load(text):
        assert re.search(rf"^# -- .*\n{component}:", text, re.MULTILINE), component


def test_the_pipeline_is_written_with_every_release():
    manifests = render(CHART / "ci" / "everything.yaml")
    job = manifests["Job", "isocenter-pipeline"]
    assert job["metadata"]["annotations"] == {
        "helm.sh/hook": "post-install,post-upgrade",
        "helm.sh/hook-delete-policy": "before-hook-creation",
    }
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["isocenter-pipeline"]
    assert container["args"][0] == "upsert"


def test_the_store_scp_gets_the_time_and_ports_that_its_settings_ask_for(minimal):
    def rendered(*sets):
        found = render(minimal, sets=sets)
        return {
            kind: found[kind, "isocenter-storescp"]["spec"]
            for kind in ("StatefulSet", "Service")
        }

    plain = rendered()
    pod = plain["StatefulSet"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 90
    assert [p["name"] for p in plain["Service"]["ports"]] == ["dicom-tls"]
    changed = rendered(
        "storescp.config.shutdown_grace_s=300", "storescp.config.scp_port=11112"
    )
    pod = changed["StatefulSet"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 345
    assert {p["port"] for p in changed["Service"]["ports"]} == {11112, 11113}


@pytest.mark.parametrize(("earlier", "today"), RENAMED.items())
def test_values_of_an_earlier_chart_still_count(minimal, earlier, today):
    manifests = render(minimal, sets=(f"storescp.config.{earlier}=50",))
    env = environment(workloads(manifests)["isocenter-storescp"])
    assert env[f"STORESCP_{today.upper()}"] == "50"
    assert f"STORESCP_{earlier.upper()}" not in env


def test_a_port_by_its_earlier_name_is_open(minimal):
    manifests = render(minimal, sets=("storescp.config.plain_port=104",))
    pod = workloads(manifests)["isocenter-storescp"]
    assert 104 in {p["containerPort"] for p in pod["spec"]["containers"][0]["ports"]}
    service = manifests["Service", "isocenter-storescp"]
    assert 104 in {p["port"] for p in service["spec"]["ports"]}
    policy = manifests["NetworkPolicy", "isocenter-storescp"]
    assert 104 in {p["port"] for r in policy["spec"]["ingress"] for p in r["ports"]}


def test_an_upgrade_does_not_lock_modalities_out_unasked(tmp_path, minimal):
    values = yaml.safe_load(minimal.read_text())
    del values["storescp"]["config"]
    earlier = tmp_path / "earlier.yaml"
    earlier.write_text(yaml.safe_dump(values))
    render(earlier)  # a new installation has no modalities yet
    with pytest.raises(HelmError, match=r"storescp\.config\.allowed_peers is required"):
        render(earlier, upgrade=True)
    render(minimal, upgrade=True)


def test_peers_reach_the_process():
    manifests = render(CHART / "ci" / "everything.yaml")
    env = environment(workloads(manifests)["isocenter-storescp"])
    assert json.loads(env["STORESCP_ALLOWED_PEERS"])[0] == {
        "aeTitle": "CT1",
        "cidrs": ["10.20.0.0/16"],
    }
