"""Public ids: the shape of cuid v1 (25 characters, ``c`` first), random part from the system."""

from __future__ import annotations

import os
import time

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
LENGTH = 25

_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_RANDOM = 16
_DRAWN = 1_024
# As many of the 256 bytes as every digit can have alike; the others are thrown away.
_EVEN = 256 - 256 % 36
_DIGIT_OF = bytes(ord(_DIGITS[byte % 36]) for byte in range(256))
_UNEVEN = bytes(range(_EVEN, 256))

_ahead: list[str] = []
"""Random parts of ids to come: to ask the system for each takes longer than all the rest."""
# A process and what it forks must not give the same.
os.register_at_fork(after_in_child=_ahead.clear)


def _milliseconds() -> str:
    number, pairs = time.time_ns() // 1_000_000, ["", "", "", ""]
    for place in (3, 2, 1, 0):
        number, rest = divmod(number, 36 * 36)
        pairs[place] = _PAIRS[rest]
    return "".join(pairs)


def _random() -> str:
    try:
        return _ahead.pop()
    except IndexError:
        text = os.urandom(_DRAWN).translate(_DIGIT_OF, _UNEVEN).decode()
        ends = range(_RANDOM, len(text) + 1, _RANDOM)
        first, *others = (text[end - _RANDOM : end] for end in ends)
        _ahead.extend(others)
        return first


def new_cuid() -> str:
    """A new id: ``c``, eight characters of milliseconds, sixteen random ones (82 bits)."""
    return "c" + _milliseconds() + _random()
