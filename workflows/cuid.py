"""Public ids: the shape of cuid v1 (25 characters, ``c`` first), random part from ``secrets``."""

from __future__ import annotations

import secrets
import time

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
LENGTH = 25


def _base36(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, rest = divmod(number, 36)
        digits.append(_DIGITS[rest])
    return "".join(reversed(digits))


def new_cuid() -> str:
    """A new id: ``c``, eight characters of milliseconds, sixteen random ones (82 bits)."""
    return "c" + _base36(time.time_ns() // 1_000_000, 8) + _base36(secrets.randbelow(36**16), 16)
