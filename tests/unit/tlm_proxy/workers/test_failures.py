"""Failures that cross from worker to worker."""

import pytest

from isocenter.core.errors import BusyError, NotFoundError, UnavailableError
from isocenter.tlm_proxy.errors import ANSWERS, OverloadedError, answer_for
from isocenter.tlm_proxy.workers.failures import dump_failure, load_failure


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_failure_is_answered_as_where_it_happened(kind):
    error = kind.__new__(kind, "text")
    again = load_failure(dump_failure(error))
    assert type(again) is kind
    assert str(again) == "text"
    assert answer_for(again) is answer_for(error)


def test_what_a_failure_carries_comes_along():
    again = load_failure(dump_failure(OverloadedError("x", retry_after=2.5, code="T")))
    assert isinstance(again, BusyError)
    assert (again.retry_after, again.code) == (2.5, "T")


def test_a_failure_that_is_more_special_than_the_table_is_its_row():
    class MissingError(NotFoundError):
        pass

    assert type(load_failure(dump_failure(MissingError("x")))) is NotFoundError


def test_what_is_not_ours_is_no_answer(caplog):
    again = load_failure(dump_failure(ValueError("inner matter")))
    assert type(again) is UnavailableError
    assert "inner matter" not in str(again)
    assert "unexpectedly" in caplog.text


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"kind": "Nothing"}', b"\xff"])
def test_what_can_not_be_read_is_no_answer(body):
    assert type(load_failure(body)) is UnavailableError
