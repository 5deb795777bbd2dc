from pathlib import Path

import pytest
from support.rendering import CHART, IMAGES, LOCAL_AWS_VALUES, render

PROFILES = {
    "minimal": ((CHART / "ci" / "minimal.yaml",), ()),
    "everything": ((CHART / "ci" / "everything.yaml",), ()),
    "local-aws": ((LOCAL_AWS_VALUES,), IMAGES),
}


@pytest.fixture(params=sorted(PROFILES), scope="session")
def manifests(request):
    files, sets = PROFILES[request.param]
    return render(*files, sets=sets)


@pytest.fixture(scope="session")
def minimal() -> Path:
    return CHART / "ci" / "minimal.yaml"
