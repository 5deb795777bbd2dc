"""Refusals: every one is counted, few are logged."""

import pytest

from isocenter.storescp import metrics
from isocenter.storescp.front.complaints import (
    _FREE,
    _MOST_OF_ADDRESS,
    _MOST_OF_ALL,
    _MOST_REMEMBERED,
    Complaints,
)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def counted(reason):
    return metrics.ASSOCIATIONS_REFUSED.labels(reason)._value.get()


def test_a_line_names_the_peer(caplog):
    before = counted("calling_ae_title")
    Complaints().refused(
        "calling_ae_title", "why", "10.0.0.1", outcome="rejected", calling_ae="CT1"
    )
    (record,) = caplog.records
    assert record.message == "association rejected"
    said = record.peer, record.calling_ae, record.reason, record.error
    assert said == ("10.0.0.1", "CT1", "calling_ae_title", "why")
    assert counted("calling_ae_title") == before + 1


def test_many_of_the_same_make_few_lines(caplog, clock):
    complaints = Complaints(clock)
    before = counted("timed_out")
    for _ in range(100):
        complaints.refused("timed_out", "why", "10.0.0.1")
    complaints.refused("timed_out", "why", "10.0.0.2")
    assert counted("timed_out") == before + 101
    assert len(caplog.records) == _FREE + 1
    clock.now = 61.0
    complaints.refused("timed_out", "why", "10.0.0.1")
    times = 100 - _FREE + 1
    assert caplog.records[-1].message == f"association refused, {times} times"


def test_a_crowd_is_not_remembered(clock):
    complaints = Complaints(clock)
    for number in range(2 * _MOST_REMEMBERED):
        complaints.refused("timed_out", "why", f"2001:db8::{number:x}")
    assert len(complaints._told) == _MOST_REMEMBERED


FLOODS = [
    # address and AE title of each, lines
    (lambda n: ("10.0.0.1", f"AE{n}"), _MOST_OF_ADDRESS),
    (lambda n: (f"2001:db8::{n:x}", None), _MOST_OF_ALL),
]


@pytest.mark.parametrize(("who", "lines"), FLOODS)
def test_other_names_each_time_do_not_fill_the_log(caplog, clock, who, lines):
    complaints = Complaints(clock)
    for number in range(2000):
        address, calling_ae = who(number)
        complaints.refused("timed_out", "why", address, calling_ae=calling_ae)
    assert len(caplog.records) == lines
    clock.now = 61.0
    complaints.refused("timed_out", "why", "10.0.0.9")
    *_, kept_back, line = caplog.records
    assert f"{2000 - lines} lines kept back" in kept_back.getMessage()
    assert line.peer == "10.0.0.9"
