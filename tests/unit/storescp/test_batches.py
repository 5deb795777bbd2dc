import datetime as dt
import re

import pytest

from isocenter.core.batch import BATCH_PATTERN, MAX_BYTES, MAX_INSTANCES
from isocenter.storescp.batches import (
    BatchExtent,
    BatchLimits,
    CloseReason,
    batch_id,
    due,
    fits,
    id_time,
)

LIMITS = BatchLimits(quiet_s=10, max_age_s=120, max_instances=100, max_bytes=1000)


@pytest.mark.parametrize(
    ("opened", "last", "instances", "size", "now", "reason"),
    [
        (0, 0, 1, 1, 9.9, None),
        (0, 0, 1, 1, 10, CloseReason.QUIET),
        (0, 119, 5, 5, 119.9, None),
        (0, 119, 5, 5, 120, CloseReason.AGE),
        (0, 0, 100, 5, 0, CloseReason.FULL),
        (0, 0, 99, 1000, 0, CloseReason.FULL),
        (0, 0, 100, 5, 500, CloseReason.FULL),
    ],
)
def test_due(opened, last, instances, size, now, reason):
    extent = BatchExtent(opened, last, instances, size)
    assert due(extent, now, LIMITS) == reason


@pytest.mark.parametrize(
    ("instances", "size", "more", "expected"),
    [
        (0, 0, 5000, True),  # alone, whatever its size
        (1, 500, 500, True),
        (1, 500, 501, False),
        (99, 5, 5, True),
        (100, 5, 5, False),
    ],
)
def test_fits(instances, size, more, expected):
    assert fits(BatchExtent(0, 0, instances, size), more, LIMITS) == expected


def test_the_default_limits_are_those_of_an_import_job():
    assert BatchLimits().max_instances == MAX_INSTANCES
    assert BatchLimits().max_bytes == MAX_BYTES


def test_ids_are_resource_names_that_sort_by_time():
    start = dt.datetime(2026, 11, 23, 3, 15, tzinfo=dt.UTC)
    steps = [0, 1, 999, 1000, 86_400_000]
    ids = [batch_id(start + dt.timedelta(milliseconds=n), "0a1b") for n in steps]
    assert ids[0] == "b20261123t031500000-0a1b"
    assert ids == sorted(ids)
    for name in ids:
        assert re.fullmatch(BATCH_PATTERN, name)
        assert len(name) <= 63


def test_ids_of_one_process_never_repeat():
    now = dt.datetime(2026, 11, 23, 3, 15, tzinfo=dt.UTC)
    first = id_time(now, None)
    second = id_time(now, first)
    third = id_time(now - dt.timedelta(seconds=5), second)  # the clock was set back
    ids = [batch_id(time, "x") for time in (first, second, third)]
    assert ids == sorted(set(ids))
