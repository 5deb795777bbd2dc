import pytest

from isocenter.core import errors
from isocenter.fetcher.errors import (
    DecoderLostError,
    IncompleteError,
    InterruptedFetchError,
    NothingUsableError,
    UsageError,
)
from isocenter.fetcher.exit_codes import MEANING, ExitCode, exit_code


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (KeyError("x"), 1),
        (errors.ConfigurationError("x"), 2),
        (errors.MalformedError("x"), 2),
        (UsageError("x"), 2),
        (NothingUsableError("x", ()), 3),
        (IncompleteError("x", ()), 4),
        (errors.DeniedError("x"), 5),
        (errors.UnavailableError("x"), 5),
        (DecoderLostError("x"), 6),
        (OSError("x"), 6),
        (InterruptedFetchError("x"), 143),
        (KeyboardInterrupt(), 143),
    ],
)
def test_exit_code(failure, code):
    assert exit_code(failure) == code


def test_every_code_is_described():
    assert list(MEANING) == list(ExitCode)
