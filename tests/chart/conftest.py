from pathlib import Path

import pytest
from support.rendering import CHART, PROFILES, render


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write tests/chart/golden anew from what is rendered",
    )


@pytest.fixture(params=sorted(PROFILES), scope="session")
def manifests(request):
    files, sets = PROFILES[request.param]
    return render(*files, sets=sets)


@pytest.fixture(scope="session")
def minimal() -> Path:
    return CHART / "ci" / "minimal.yaml"
