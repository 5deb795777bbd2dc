"""Tiers by path: a test's folder says what it needs."""

from pathlib import Path

import pytest

TIERS = ("cluster", "system")
SLOW = ("contract", "interop", "cluster", "system")
SERVING = (
    "unit/storescp",
    "unit/tlm_proxy/http",
    "contract/test_storescp.py",
    "contract/test_storescp_workers.py",
)
"""Tests that start a server each, and talk to it over sockets: half of all time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(root):
            continue
        tier = item.path.relative_to(root).parts[0]
        if any(item.path.is_relative_to(root / folder) for folder in SERVING):
            item.add_marker("serving")
        if tier in TIERS:
            item.add_marker(tier)
        if tier in SLOW and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))
