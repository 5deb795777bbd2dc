"""Waiting that says what it waits for, and for how long."""

import time
from collections.abc import Callable
from typing import TypeVar

from demo.shell import DemoError, say

T = TypeVar("T")
_HEARTBEAT_S = 10.0


def until(look: Callable[[], tuple[str, T | None]], limit_s: float) -> T:
    """Look every second until there is a result; tell each change of the text."""
    started = time.monotonic()
    told, told_at = "", 0.0
    while True:
        text, result = look()
        now = time.monotonic()
        if text != told or now - told_at > _HEARTBEAT_S:
            say(text if text != told else f"{text} (still, {now - started:.0f} s)")
            told, told_at = text, now
        if result is not None:
            return result
        if now - started > limit_s:
            raise DemoError(f"not done after {limit_s:.0f} s: {text}")
        time.sleep(1)
