import os
import uuid
from contextlib import contextmanager

import pytest
from support import cluster

from isocenter.operator.crd import MODELS, definition


@pytest.fixture(scope="session")
def kubectl():
    """Runs kubectl against the test cluster; fails, never skips, without one."""
    cluster.require_test_cluster(os.environ.get("ISOCENTER_TEST_CONTEXT"))
    return cluster.run


@contextmanager
def fresh_namespace(kubectl):
    name = f"test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl(
        *("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted"),
        "pod-security.kubernetes.io/warn=restricted",
    )
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace(kubectl):
    with fresh_namespace(kubectl) as name:
        yield name


@pytest.fixture(scope="module")
def module_namespace(kubectl):
    with fresh_namespace(kubectl) as name:
        yield name


@pytest.fixture(scope="session")
def definitions(kubectl):
    """Those that a release installed, or else the same, for as long as needed."""
    names = [f"crd/{definition(model)['metadata']['name']}" for model in MODELS]
    made = []
    for model, name in zip(MODELS, names, strict=True):
        if kubectl("get", name, check=False).returncode:
            kubectl("create", "-f", "-", stdin=definition(model))
            made.append(name)
    kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    yield names
    if made:
        kubectl("delete", *made)
