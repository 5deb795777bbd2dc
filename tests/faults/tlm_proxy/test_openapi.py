"""The real process against its own description, /openapi.json, by schemathesis:
whatever is asked, the answer is one that is described, and no failure but those.

``SOAK=n`` makes n examples of each operation.
"""

import os
from collections import Counter

import pytest
import schemathesis
from faults.tlm_proxy.mutations import DATASTORE, INSTANCE, REGION, SERIES, STUDY
from faults.tlm_proxy.progress import tell
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)

EXAMPLES = int(os.environ.get("SOAK", "0")) or 4
HANG_S = 5.0
_EXCLUDED = (
    # 502, 503 and 504 are described; others are found by their description's lack.
    not_a_server_error,
    # A well-formed id of nothing is a 404; and parameters that are of no interest
    # are let pass.
    positive_data_acceptance,
    negative_data_rejection,
)


def with_ids_of_something(case):
    """Every other case names things that are there."""
    asked = case.path_parameters
    if not asked or len(str(sorted(asked.items()))) % 2:
        return
    there = {
        "region": REGION,
        "datastore_id": DATASTORE,
        "image_set_id": "0" * 32,
        "frame_id": f"{7:032d}",
        "study": f"{STUDY}.0",
        "series": f"{SERIES}.0",
        "instance": f"{INSTANCE}.7",
        "frame": "1",
    }
    asked.update({name: there[name] for name in asked if name in there})


@pytest.mark.timeout(120 + 20 * EXAMPLES)
def test_answers_are_as_described(start_proxy):
    # Not by schemathesis's own fixtures: they reach into pytest's inner parts.
    failures, statuses = {}, Counter()
    with start_proxy(TLM_PROXY_CACHE_MAX_BYTES=str(16 << 20)) as proxy:
        schema = schemathesis.openapi.from_url(f"{proxy.base}/openapi.json")
        for found in schema.get_all_operations():
            operation = found.ok()

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy())
            def ask(case):
                with_ids_of_something(case)
                answer = case.call_and_validate(
                    excluded_checks=_EXCLUDED, timeout=HANG_S
                )
                statuses[answer.status_code] += 1

            try:
                ask()
            except (FailureGroup, Failure) as error:
                failures[operation.label] = error
        unexpected = proxy.unexpected()
    tell(f"{statuses}")
    for label, error in failures.items():
        tell(f"{label}\n{error}")
    assert not failures, list(failures)
    assert not unexpected
    assert {200, 404} <= set(statuses)
