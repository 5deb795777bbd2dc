"""NetworkPolicies on this cluster deny and allow, so that tests under the
chart's policies mean something."""

import time

import pytest
from demo.place import images

PORT, OTHER_PORT = 8080, 8081
CONNECT = (
    "import socket, sys\n"
    "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5).close()\n"
    "except OSError as error: sys.exit(str(error))"
)
SERVE = (
    "import http.server, threading\n"
    "class Quiet(http.server.SimpleHTTPRequestHandler):\n"
    "    def log_message(self, *args): pass\n"
    "serve = lambda port: http.server.ThreadingHTTPServer(('', port), Quiet)"
    ".serve_forever()\n"
    f"threading.Thread(target=serve, args=({OTHER_PORT},)).start()\n"
    f"serve({PORT})"
)
DNS = {
    "to": [
        {
            "namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": "kube-system"}
            },
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}],
}


def pod(name, *command, **container):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": images()["storescp"],
                    "command": list(command),
                    "workingDir": "/tmp",
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    **container,
                }
            ],
        },
    }


@pytest.fixture(scope="module")
def place(kubectl, module_namespace):
    """A server behind a Service, a client and a stranger; gives the namespace."""
    server = pod(
        *("server", "python", "-c", SERVE),
        ports=[{"name": "http", "containerPort": PORT}],
        readinessProbe={
            "httpGet": {"path": "/", "port": "http"},
            "periodSeconds": 1,
            "failureThreshold": 2,
        },
    )
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server"},
        "spec": {
            "selector": {"app": "server"},
            "ports": [
                {"name": "http", "port": 80, "targetPort": "http"},
                {"name": "other", "port": 81, "targetPort": OTHER_PORT},
            ],
        },
    }
    sleep = ("python", "-c", "import time; time.sleep(3600)")
    for body in (server, service, pod("client", *sleep), pod("stranger", *sleep)):
        kubectl("-n", module_namespace, "create", "-f", "-", stdin=body)
    kubectl(
        *("-n", module_namespace, "wait", "--for=condition=Ready", "--timeout=60s"),
        *("pod", "--all"),
    )
    return module_namespace


@pytest.fixture
def policy(kubectl, place):
    """Creates policies, and takes all of them away after the test."""
    made = []

    def create(name, selector, **spec):
        body = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name},
            "spec": {"podSelector": selector, **spec},
        }
        kubectl("-n", place, "create", "-f", "-", stdin=body)
        made.append(f"networkpolicy/{name}")

    yield create
    if made:
        kubectl("-n", place, "delete", *made)


@pytest.fixture
def reaches(kubectl, place):
    """Waits until a connection is, or is not, to be had: rules come by watch."""

    def connect(source, host, port):
        done = kubectl(
            *("-n", place, "exec", source, "--"),
            *("python", "-c", CONNECT, host, str(port)),
            check=False,
        )
        return not done.returncode

    def look(source, host, port, expected):
        deadline = time.monotonic() + 15
        while connect(source, host, port) is not expected:
            assert time.monotonic() < deadline, (
                f"{source} to {host}:{port}: expected {expected}"
            )
        return True

    return look


def only(app):
    return {"matchLabels": {"app": app}}


def address(kubectl, place, kind, name, path):
    return kubectl("-n", place, "get", kind, name, "-o", f"jsonpath={{{path}}}").stdout


@pytest.mark.timeout(90)
def test_what_is_denied_does_not_arrive_and_what_is_allowed_does(
    kubectl, place, policy, reaches
):
    server = address(kubectl, place, "pod", "server", ".status.podIP")
    assert reaches("client", "server", 80, expected=True)
    policy("deny", {}, policyTypes=["Ingress", "Egress"])
    assert reaches("client", server, PORT, expected=False)
    # Not even a name; by the address of the Service neither.
    assert reaches("client", "server", 80, expected=False)

    policy(
        *("out", only("client")),
        policyTypes=["Egress"],
        egress=[DNS, {"to": [{"podSelector": only("server")}]}],
    )
    policy(
        *("in", only("server")),
        ingress=[
            {"from": [{"podSelector": only("client")}], "ports": [{"port": "http"}]}
        ],
    )
    assert reaches("client", "server", 80, expected=True)
    assert reaches("client", "server", 81, expected=False)
    assert reaches("stranger", server, PORT, expected=False)
    # The node reaches its pods whatever the policies say: the probe passed.
    started = address(
        *(kubectl, place, "pod", "server"),
        '.status.conditions[?(@.type=="Ready")].status',
    )
    assert started == "True"


@pytest.mark.timeout(60)
def test_blocks_of_addresses_and_their_exceptions(kubectl, place, policy, reaches):
    server = address(kubectl, place, "pod", "server", ".status.podIP")
    api = kubectl(
        *("get", "endpointslices", "-n", "default", "kubernetes"),
        *("-o", "jsonpath={.endpoints[0].addresses[0]} {.ports[0].port}"),
    ).stdout.split()
    policy(
        *("out", only("client")),
        policyTypes=["Egress"],
        egress=[
            {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": [f"{server}/32"]}}]}
        ],
    )
    assert reaches("client", server, PORT, expected=False)
    assert reaches("client", *api, expected=True)
    assert reaches("stranger", server, PORT, expected=True)


@pytest.mark.timeout(60)
def test_another_namespace_is_let_in_by_its_labels(
    kubectl, place, namespace, policy, reaches
):
    server = address(kubectl, place, "pod", "server", ".status.podIP")
    visitor = pod("visitor", "python", "-c", CONNECT, server, str(PORT))
    visitor["spec"]["restartPolicy"] = "Never"
    policy(
        *("in", only("server")),
        ingress=[
            {"from": [{"namespaceSelector": {"matchLabels": {"visits": "yes"}}}]},
        ],
    )
    assert reaches("client", server, PORT, expected=False)
    kubectl("-n", namespace, "create", "-f", "-", stdin=visitor)
    kubectl(
        *("-n", namespace, "wait", "--for=jsonpath={.status.phase}=Failed"),
        *("--timeout=30s", "pod/visitor"),
    )
    kubectl("label", "namespace", namespace, "visits=yes")
    kubectl("-n", namespace, "delete", "pod", "visitor")
    visitor["spec"]["restartPolicy"] = "OnFailure"
    kubectl("-n", namespace, "create", "-f", "-", stdin=visitor)
    kubectl(
        *("-n", namespace, "wait", "--for=jsonpath={.status.phase}=Succeeded"),
        *("--timeout=30s", "pod/visitor"),
    )
