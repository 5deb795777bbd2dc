"""Who may talk to whom: each pod has one policy, and what it needs is in it."""

import pytest
from support.rendering import CHART, render, workloads

MINIMAL = CHART / "ci" / "minimal.yaml"
EVERYTHING = CHART / "ci" / "everything.yaml"
DNS = {("UDP", 53), ("TCP", 53)}
AWS = ("TCP", 443)
AGENT = ("TCP", 80)
API_SERVER = ("TCP", 6443)


def policies(manifests):
    """Of the components; those of `helm test` live as long as the test."""
    return {
        name: manifest["spec"]
        for (kind, name), manifest in manifests.items()
        if kind == "NetworkPolicy"
        and "helm.sh/hook" not in manifest["metadata"].get("annotations", {})
    }


def reached(spec):
    """Ports of egress rules, with the addresses where a rule names them."""
    return {
        (port["protocol"], port["port"]): rule.get("to")
        for rule in spec["egress"]
        for port in rule["ports"]
    }


def let_in(spec):
    return {
        port["port"]: rule.get("from")
        for rule in spec["ingress"]
        for port in rule["ports"]
    }


def test_every_pod_has_one_policy_for_both_directions(manifests):
    found = policies(manifests)
    for name, pod in workloads(manifests).items():
        labels = pod["metadata"]["labels"].items()
        mine = [
            spec
            for spec in found.values()
            if spec["podSelector"]["matchLabels"].items() <= labels
        ]
        assert len(mine) == 1, name
        assert mine[0]["policyTypes"] == ["Ingress", "Egress"]
        assert reached(mine[0]).keys() >= DNS, name


def test_what_the_pods_listen_on_is_let_in(manifests):
    found = policies(manifests)
    for name, pod in workloads(manifests).items():
        (container,) = pod["spec"]["containers"]
        listens = {port["containerPort"] for port in container.get("ports", ())}
        assert let_in(found[name]).keys() == listens, name


@pytest.mark.parametrize(
    ("component", "needs", "does_not"),
    [
        ("storescp", {AWS, AGENT}, {API_SERVER}),
        ("tlm-proxy", {AWS, AGENT}, {API_SERVER}),
        ("fetcher", {AWS, AGENT}, {API_SERVER}),
        ("operator", {AWS, AGENT, API_SERVER}, set()),
        ("intake", {AWS, AGENT, API_SERVER}, set()),
        ("viewer", {("TCP", 8080)}, {AWS, AGENT, API_SERVER}),
    ],
)
def test_a_component_reaches_what_it_needs_and_no_more(component, needs, does_not):
    ports = reached(policies(render(MINIMAL))[f"isocenter-{component}"])
    assert needs <= ports.keys()
    assert not does_not & ports.keys()
    assert set(ports) == needs | DNS | ({AWS} if API_SERVER in needs else set())
    if AGENT in needs:
        assert [peer["ipBlock"]["cidr"] for peer in ports[AGENT]] == [
            "169.254.170.23/32",
            "fd00:ec2::23/128",
        ]


def test_the_viewer_reaches_the_proxy_only():
    manifests = render(MINIMAL)
    (peer,) = reached(policies(manifests)["isocenter-viewer"])["TCP", 8080]
    labels = workloads(manifests)["isocenter-tlm-proxy"]["metadata"]["labels"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()


def test_metrics_are_for_monitoring_and_health_for_load_balancers():
    for spec in policies(render(MINIMAL)).values():
        if peers := let_in(spec).get(8081):
            assert peers == [
                {
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": "monitoring"}
                    }
                }
            ]
    health = let_in(policies(render(EVERYTHING))["isocenter-storescp"])[8081]
    assert {"ipBlock": {"cidr": "10.20.1.0/24"}} in health


def test_dicom_is_for_the_networks_that_may_send():
    assert let_in(policies(render(MINIMAL))["isocenter-storescp"])[11113] is None
    ports = let_in(policies(render(EVERYTHING))["isocenter-storescp"])
    assert ports[11113] == ports[11112] == [{"ipBlock": {"cidr": "10.20.0.0/16"}}]


def test_the_fetcher_is_for_pods_of_its_namespace():
    ports = let_in(policies(render(MINIMAL))["isocenter-fetcher"])
    assert ports[8080] == [{"podSelector": {}}]


def test_the_viewer_is_let_into_a_proxy_that_names_its_peers():
    manifests = render(EVERYTHING)
    peers = let_in(policies(manifests)["isocenter-tlm-proxy"])[8080]
    viewer = workloads(manifests)["isocenter-viewer"]["metadata"]["labels"].items()
    assert any(
        peer.get("podSelector", {}).get("matchLabels", {"": ""}).items() <= viewer
        for peer in peers
    )
    assert {"ipBlock": {"cidr": "10.20.1.0/24"}} in peers


def test_a_cluster_can_do_without(minimal):
    manifests = render(minimal, sets=("networkPolicy.enabled=false",))
    assert policies(manifests) == {}


def test_reports_of_commitment_reach_the_modalities():
    everything = policies(render(CHART / "ci" / "everything.yaml"))
    ports = reached(everything["isocenter-storescp"])
    for port in (104, 2762):
        assert ports["TCP", port] == [{"ipBlock": {"cidr": "10.20.0.0/16"}}]
