"""Which AWS calls each component made, from the demo's start until now.

The name makes it the last file of this folder: it looks at what the others did. The
recorded list is compared with the IAM policies in tests/infra.
"""

import json
import urllib.request
from pathlib import Path

import pytest
from demo.place import AWS_NAMESPACE
from demo.port_forward import port_forward

RECORD = Path(__file__).parents[1] / "data" / "recorded_calls.json"
CONTROLS = 5002
EARLIER_CHART = {
    "isocenter-train-step": {"sagemaker:CreatePipeline", "sagemaker:UpdatePipeline"}
}
"""The upgrade test installs a chart of before AWS_SDK_UA_APP_ID: its pipeline Job goes
by the name that the trainer's image has for the step."""


@pytest.fixture(scope="module")
def seen(kubectl):
    with port_forward(AWS_NAMESPACE, "devcloud", CONTROLS) as port:
        url = f"http://localhost:{port}/_devcloud/calls"
        with urllib.request.urlopen(url, timeout=30) as answer:
            calls = json.load(answer)
    ours = {
        app: set(found) - EARLIER_CHART.get(app, set())
        for app, found in calls.items()
        if app.startswith("isocenter-")
    }
    return {app: found for app, found in ours.items() if found}


def test_the_calls_are_those_on_record(seen, request):
    record = json.loads(RECORD.read_text())
    if request.config.getoption("--update", default=False):
        updated = {
            app: {
                "always": sorted(found - set(record.get(app, {}).get("sometimes", ()))),
                "sometimes": record.get(app, {}).get("sometimes", []),
            }
            for app, found in seen.items()
        }
        RECORD.write_text(json.dumps(updated, indent=2, sort_keys=True) + "\n")
        return
    advice = "if that is meant: pytest tests/system --update, then make infra"
    assert set(seen) == set(record), f"other components called AWS; {advice}"
    for app, expected in record.items():
        always, sometimes = set(expected["always"]), set(expected["sometimes"])
        new = seen[app] - always - sometimes
        assert not new, f"{app} made calls that are not on record: {new}; {advice}"
        gone = always - seen[app]
        assert not gone, f"{app} no longer makes calls: {gone}; {advice}"
