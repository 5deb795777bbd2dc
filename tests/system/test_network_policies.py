"""The chart's policies are in force while the chain runs."""

import pytest

CONNECT = (
    "import socket, sys\n"
    "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()\n"
    "except TimeoutError: sys.exit(9)"
)
DROPPED = 9
LOCAL_AWS = "devcloud.devcloud.svc.cluster.local"
API_SERVER = "kubernetes.default.svc.cluster.local"


@pytest.fixture
def connect(kubectl):
    """Whether a component's pod reaches a host and port; an error is neither."""

    def run(source, host, port):
        done = kubectl(
            *("exec", source, "--", "python", "-c", CONNECT, host, str(port)),
            check=False,
        )
        assert done.returncode in {0, DROPPED}, done.stderr
        return done.returncode == 0

    return run


@pytest.mark.parametrize(
    ("source", "host", "port", "expected"),
    [
        ("statefulset/isocenter-storescp", LOCAL_AWS, 5000, True),
        ("statefulset/isocenter-storescp", API_SERVER, 443, False),
        ("statefulset/isocenter-storescp", "isocenter-tlm-proxy", 80, False),
        ("deployment/isocenter-operator", API_SERVER, 443, True),
        ("deployment/isocenter-operator", LOCAL_AWS, 5002, True),
        ("deployment/isocenter-operator", "isocenter-storescp", 11113, False),
        ("deployment/isocenter-intake", API_SERVER, 443, True),
        ("deployment/isocenter-tlm-proxy", LOCAL_AWS, 5001, True),
        ("deployment/isocenter-tlm-proxy", API_SERVER, 443, False),
        ("deployment/isocenter-fetcher", "isocenter-tlm-proxy", 80, False),
    ],
)
def test_who_reaches_whom(connect, source, host, port, expected):
    assert connect(source, host, port) is expected
