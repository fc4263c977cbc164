"""Public ids: the shape of cuid v1 (25 characters, ``c`` first), random part from the system."""

from __future__ import annotations

import os
import time

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
LENGTH = 25

_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_RANDOM_LENGTH = 16
_BATCH_BYTES = 1_024
# Bytes above the largest multiple of 36 are discarded, so that every digit is equally likely.
_DIGIT_OF = bytes(ord(_DIGITS[byte % 36]) for byte in range(256))
_DISCARDED = bytes(range(256 - 256 % 36, 256))

_pool: list[str] = []
"""Random parts of future ids; one system call for each id would dominate its cost."""
# A process and its forks must not hand out the same ids.
os.register_at_fork(after_in_child=_pool.clear)


def _milliseconds() -> str:
    number, pairs = time.time_ns() // 1_000_000, ["", "", "", ""]
    for place in (3, 2, 1, 0):
        number, rest = divmod(number, 36 * 36)
        pairs[place] = _PAIRS[rest]
    return "".join(pairs)


def _random() -> str:
    try:
        return _pool.pop()
    except IndexError:
        text = os.urandom(_BATCH_BYTES).translate(_DIGIT_OF, _DISCARDED).decode()
        ends = range(_RANDOM_LENGTH, len(text) + 1, _RANDOM_LENGTH)
        first, *others = (text[end - _RANDOM_LENGTH : end] for end in ends)
        _pool.extend(others)
        return first


def new_cuid() -> str:
    """Return a new id: ``c``, eight characters of milliseconds, sixteen random ones (82 bits)."""
    return "c" + _milliseconds() + _random()
