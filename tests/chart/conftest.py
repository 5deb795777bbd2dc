from pathlib import Path

import pytest
from support.rendering import CHART, PROFILES, render


@pytest.fixture(params=sorted(PROFILES), scope="session")
def manifests(request):
    files, sets = PROFILES[request.param]
    return render(*files, sets=sets)


@pytest.fixture(scope="session")
def minimal() -> Path:
    return CHART / "ci" / "minimal.yaml"
