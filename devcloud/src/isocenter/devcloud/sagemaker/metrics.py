"""FinalMetricDataList: the last match of each MetricDefinition in the log.

Assumed: regular expressions are Python's, and one that can't be read is skipped.
"""

import re
from typing import Any


def final_metrics(
    definitions: list[dict[str, str]], log: str, now: float
) -> list[dict[str, Any]]:
    """MetricData entries; a definition that matches no number gives none."""
    found = []
    for definition in definitions:
        value = _last_value(definition["Regex"], log)
        if value is not None:
            found.append(
                {"MetricName": definition["Name"], "Value": value, "Timestamp": now}
            )
    return found


def _last_value(pattern: str, log: str) -> float | None:
    try:
        expression = re.compile(pattern)
    except re.error:
        return None
    value = None
    for match in expression.finditer(log):
        text = match[1] if expression.groups else match[0]
        try:
            value = float(text)
        except (TypeError, ValueError):
            continue
    return value
