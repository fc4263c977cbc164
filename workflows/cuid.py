"""Public ids: the shape of cuid v1 (25 characters, ``c`` first), random part from ``secrets``."""

from __future__ import annotations

import secrets
import time

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
LENGTH = 25


_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]


def _base36(number: int, width: int) -> str:
    pairs = []
    for _ in range(width // 2):
        number, rest = divmod(number, 36 * 36)
        pairs.append(_PAIRS[rest])
    return "".join(reversed(pairs))


def new_cuid() -> str:
    """A new id: ``c``, eight characters of milliseconds, sixteen random ones (82 bits)."""
    return "c" + _base36(time.time_ns() // 1_000_000, 8) + _base36(secrets.randbelow(36**16), 16)
