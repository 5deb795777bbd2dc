import pytest

from isocenter.storescp.commitment.decision import (
    Finding,
    Patience,
    decide,
    next_look_s,
)

PATIENCE = Patience(wait_s=100, unknown_wait_s=10)


@pytest.mark.parametrize(
    ("finding", "age_s", "answer"),
    [
        (Finding.COMMITTED, 0, "committed"),
        (Finding.CONFLICT, 0, 0x0119),
        (Finding.SPOILED, 0, 0x0110),
        (Finding.PENDING, 0, None),
        (Finding.PENDING, 99, None),
        (Finding.PENDING, 100, 0x0110),
        (Finding.UNSURE, 99, None),
        (Finding.UNSURE, 100, 0x0110),
        (Finding.UNKNOWN, 9, None),
        (Finding.UNKNOWN, 10, 0x0112),
        (Finding.UNSEARCHED, 9, None),
        (Finding.UNSEARCHED, 10, 0x0110),
        (Finding.COMMITTED, 1000, "committed"),
    ],
)
def test_answers(finding, age_s, answer):
    verdict = decide(finding, age_s, PATIENCE)
    if answer is None:
        assert verdict is None
    elif answer == "committed":
        assert verdict.failure is None
    else:
        assert verdict.failure == answer


def test_an_unknown_instance_is_not_waited_for_longer_than_a_known_one():
    short = Patience(wait_s=5, unknown_wait_s=10)
    assert decide(Finding.UNKNOWN, 5, short).failure == 0x0112


def test_looks_grow_rare_but_never_rarer_than_a_minute():
    looks = [next_look_s(age) for age in (0, 3, 30, 300, 3e6)]
    assert looks == [1, 1, 10, 60, 60]
