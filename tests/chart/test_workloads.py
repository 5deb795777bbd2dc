"""Images, names for AWS, replicas, scheduling, load balancers."""

import re

import pytest
import yaml
from support.rendering import CHART, environment, render, workloads

EVERYTHING = CHART / "ci" / "everything.yaml"
AWS = CHART / "ci" / "aws.yaml"
# The names that EKS Pod Identity associates roles with.
ACCOUNTS = {
    *("isocenter-storescp", "isocenter-tlm-proxy", "isocenter-fetcher"),
    *("isocenter-operator", "isocenter-intake", "isocenter-pipeline"),
}


def test_images_are_named_in_full(manifests):
    reference = re.compile(
        r"[a-z0-9.-]+(:\d+)?(/[a-z0-9-]+)+(:[\w.-]+|@sha256:[0-9a-f]{64})"
    )
    for name, pod in workloads(manifests).items():
        for container in pod["spec"]["containers"]:
            assert reference.fullmatch(container["image"]), name
            assert container["imagePullPolicy"]


def test_where_images_come_from(minimal):
    def image(*sets):
        pod = workloads(render(minimal, sets=sets))["isocenter-storescp"]
        return pod["spec"]["containers"][0]["image"]

    assert image() == "registry.example/isocenter/storescp:0.1.0"
    mirror = "images.registry=mirror.example:5000/docker/"
    assert image(mirror) == "mirror.example:5000/docker/isocenter/storescp:0.1.0"
    assert image("images.tag=v2") == "registry.example/isocenter/storescp:v2"
    own = ("storescp.image.registry=own.example", "storescp.image.tag=v3")
    assert image(*own) == "own.example/isocenter/storescp:v3"
    digest = f"sha256:{'a' * 64}"
    assert image(*own, f"storescp.image.digest={digest}") == (
        f"own.example/isocenter/storescp@{digest}"
    )


def test_the_pipeline_is_made_with_the_images_of_the_chart():
    (container,) = workloads(render(EVERYTHING))["isocenter-pipeline"]["spec"][
        "containers"
    ]
    args = container["args"]
    fetcher = args[args.index("--fetcher-image-uri") + 1]
    assert fetcher == "mirror.example/dockerhub/isocenter/fetcher:0.1.0"
    assert args[args.index("--trainer-image-uri") + 1] == container["image"]


def test_cloudtrail_can_tell_components_apart():
    named = {
        name: environment(pod).get("AWS_SDK_UA_APP_ID")
        for name, pod in workloads(render(EVERYTHING)).items()
    }
    assert {n: app for n, app in named.items() if app} == {n: n for n in ACCOUNTS}


def test_pod_identity_knows_the_service_accounts(manifests):
    accounts = {name for kind, name in manifests if kind == "ServiceAccount"}
    needed = {p["spec"]["serviceAccountName"] for p in workloads(manifests).values()}
    assert needed - {"isocenter-viewer"} <= ACCOUNTS
    assert ACCOUNTS - {"isocenter-pipeline"} <= accounts


def test_all_is_in_the_releases_namespace_but_kinds_and_classes(manifests):
    cluster_wide = {"CustomResourceDefinition", "IngressClass", "IngressClassParams"}
    for kind, name in manifests:
        assert kind not in {"ClusterRole", "ClusterRoleBinding", "Namespace"}, name
        assert "namespace" not in manifests[kind, name]["metadata"]
    assert {kind for kind, _ in render(AWS)} & cluster_wide == cluster_wide
    bare = render(AWS, sets=("crds.enabled=false", "ingress.alb.createClass=false"))
    assert not {kind for kind, _ in bare} & cluster_wide


def test_an_autoscaler_takes_the_place_of_replicas(minimal):
    fixed = render(minimal, sets=("storescp.replicas=3",))
    assert fixed["StatefulSet", "isocenter-storescp"]["spec"]["replicas"] == 3
    scaled = render(EVERYTHING)
    for kind, name in (
        ("StatefulSet", "isocenter-storescp"),
        ("Deployment", "isocenter-tlm-proxy"),
        ("Deployment", "isocenter-viewer"),
    ):
        assert "replicas" not in scaled[kind, name]["spec"]
        spec = scaled["HorizontalPodAutoscaler", name]["spec"]
        assert spec["scaleTargetRef"] == {
            "apiVersion": "apps/v1",
            "kind": kind,
            "name": name,
        }
    storescp = scaled["HorizontalPodAutoscaler", "isocenter-storescp"]["spec"]
    assert storescp["behavior"]["scaleDown"]["selectPolicy"] == "Disabled", (
        "a spool goes away with its pod only when it is empty"
    )
    assert storescp["metrics"][1]["pods"] == {
        "metric": {"name": "isocenter_storescp_associations_active"},
        "target": {"type": "AverageValue", "averageValue": "16"},
    }


@pytest.mark.parametrize("kind", ["PodDisruptionBudget", "HorizontalPodAutoscaler"])
def test_what_guards_pods_selects_them(manifests, kind):
    pods = workloads(manifests)
    for (found, name), manifest in manifests.items():
        if found == kind == "PodDisruptionBudget":
            selector = manifest["spec"]["selector"]["matchLabels"]
            assert selector.items() <= pods[name]["metadata"]["labels"].items()
            assert manifest["spec"]["maxUnavailable"] == 1
        elif found == kind:
            assert name in pods


def test_pods_spread_over_zones_and_nodes(manifests):
    for name, pod in workloads(manifests).items():
        spread = pod["spec"].get("topologySpreadConstraints", [])
        if name.removeprefix("isocenter-") in {
            "storescp",
            "tlm-proxy",
            "viewer",
            "intake",
        }:
            assert [each["topologyKey"] for each in spread] == [
                "topology.kubernetes.io/zone",
                "kubernetes.io/hostname",
            ]
        for each in spread:
            labels = each["labelSelector"]["matchLabels"]
            assert labels.items() <= pod["metadata"]["labels"].items()


def test_a_network_load_balancer_leaves_tls_to_the_pods():
    manifests = render(AWS)
    service = manifests["Service", "isocenter-storescp"]
    pod = workloads(manifests)["isocenter-storescp"]["spec"]
    prefix = "service.beta.kubernetes.io/aws-load-balancer-"
    notes = {
        key.removeprefix(prefix): value
        for key, value in service["metadata"]["annotations"].items()
    }
    assert notes["nlb-target-type"] == "ip"
    assert not any("ssl" in key for key in notes), "TLS ends in the pod"
    (health,) = (
        port["containerPort"]
        for port in pod["containers"][0]["ports"]
        if port["name"] == "health"
    )
    assert notes["healthcheck-port"] == str(health)
    assert notes["healthcheck-path"] == "/readyz"
    attributes = dict(
        each.split("=") for each in notes["target-group-attributes"].split(",")
    )
    assert attributes["preserve_client_ip.enabled"] == "true"
    draining = int(attributes["deregistration_delay.timeout_seconds"])
    assert draining <= pod["terminationGracePeriodSeconds"]
    assert service["spec"]["loadBalancerClass"] == "eks.amazonaws.com/nlb"
    assert service["spec"]["allocateLoadBalancerNodePorts"] is False
    assert service["spec"]["loadBalancerSourceRanges"] == ["192.0.2.0/24"]


def test_other_load_balancers_get_no_annotations_of_aws(minimal):
    sets = (
        "storescp.service.type=LoadBalancer",
        "storescp.service.loadBalancer.class=",
    )
    service = render(minimal, sets=sets)["Service", "isocenter-storescp"]
    assert "annotations" not in service["metadata"]
    assert "loadBalancerClass" not in service["spec"]
    assert "allocateLoadBalancerNodePorts" not in service["spec"]


@pytest.mark.parametrize(
    ("controller", "group", "key"),
    [
        ("eks.amazonaws.com/alb", "eks.amazonaws.com/v1", "certificateARNs"),
        ("ingress.k8s.aws/alb", "elbv2.k8s.aws/v1beta1", "certificateArn"),
    ],
)
def test_an_application_load_balancer_has_https(controller, group, key):
    manifests = render(AWS, sets=(f"ingress.alb.controller={controller}",))
    name = "isocenter-imaging-alb"
    parameters = manifests["IngressClassParams", name]
    assert parameters["apiVersion"] == group
    (arn,) = parameters["spec"][key]
    assert arn.startswith("arn:aws:acm:")
    ingress = manifests["Ingress", "isocenter"]
    assert ingress["spec"]["ingressClassName"] == name
    notes = ingress["metadata"]["annotations"]
    assert notes["alb.ingress.kubernetes.io/ssl-redirect"] == "443"
    assert yaml.safe_load(notes["alb.ingress.kubernetes.io/listen-ports"]) == [
        {"HTTP": 80},
        {"HTTPS": 443},
    ]
    own = render(AWS, sets=("ingress.alb.createClass=false", "ingress.className=mine"))
    notes = own["Ingress", "isocenter"]["metadata"]["annotations"]
    assert notes["alb.ingress.kubernetes.io/certificate-arn"] == arn


def test_cert_manager_makes_the_secret_that_is_mounted():
    manifests = render(EVERYTHING)
    certificate = manifests["Certificate", "isocenter-storescp"]["spec"]
    volumes = workloads(manifests)["isocenter-storescp"]["spec"]["volumes"]
    mounted = next(v["secret"]["secretName"] for v in volumes if v["name"] == "tls")
    assert certificate["secretName"] == mounted == "isocenter-dicom-tls"
    assert "server auth" in certificate["usages"]
    unnamed = render(EVERYTHING, sets=("storescp.tlsSecret=",))
    assert unnamed["Certificate", "isocenter-storescp"]["spec"]["secretName"] == (
        "isocenter-storescp-tls"
    )
