import errno

import pytest

from isocenter.core.errors import MalformedError
from isocenter.storescp.status import (
    MAX_COMMENT,
    StoreRefusedError,
    StoreStatus,
    refusal,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError(errno.ENOSPC, ""), StoreStatus.OUT_OF_RESOURCES),
        (OSError(errno.EDQUOT, ""), StoreStatus.OUT_OF_RESOURCES),
        (OSError(errno.EIO, ""), StoreStatus.PROCESSING_FAILURE),
        (MalformedError("no header"), StoreStatus.CANNOT_UNDERSTAND),
        (RuntimeError("boom"), StoreStatus.PROCESSING_FAILURE),
        (
            StoreRefusedError(StoreStatus.DATA_SET_MISMATCH, "differs", offending=8),
            StoreStatus.DATA_SET_MISMATCH,
        ),
    ],
)
def test_the_status_of_a_failure(error, status):
    assert refusal(error).status is status


def test_no_comment_is_longer_than_its_vr_allows():
    error = StoreRefusedError(StoreStatus.CANNOT_UNDERSTAND, "x" * 100)
    assert len(refusal(error).comment) == MAX_COMMENT


def test_unforeseen_texts_are_not_sent():
    assert "Doe" not in refusal(ValueError("Doe^Jane")).comment
