"""FinalMetricDataList from a log."""

import pytest

from isocenter.devcloud.sagemaker.metrics import final_metrics

LOG = "epoch 1 loss=0.5;\nepoch 2 loss=2.5e-1;\nloss=nonsense\n"


@pytest.mark.parametrize(
    ("regex", "value"),
    [
        (r"loss=([0-9.e-]+)", 0.25),
        (r"loss=(\S+);", 0.25),
        (r"epoch ([0-9]+)", 2.0),
        (r"accuracy=([0-9.]+)", None),
        (r"loss=([a-z]+)", None),
        (r"loss=(", None),
    ],
)
def test_the_last_number_counts(regex, value):
    found = final_metrics([{"Name": "m", "Regex": regex}], LOG, 1000.0)
    expected = [{"MetricName": "m", "Value": value, "Timestamp": 1000.0}]
    assert found == ([] if value is None else expected)
