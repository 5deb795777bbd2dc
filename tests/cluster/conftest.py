import os
import uuid

import pytest
from support import cluster


@pytest.fixture(scope="session")
def kubectl():
    """Runs kubectl against the test cluster; fails, never skips, without one."""
    cluster.require_test_cluster(os.environ.get("ISOCENTER_TEST_CONTEXT"))
    return cluster.run


@pytest.fixture
def namespace(kubectl):
    name = f"test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
