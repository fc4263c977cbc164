"""Public ids."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

from workflows.db.cuid import new_cuid


def test_new_cuid_has_the_format_of_a_cuid() -> None:
    assert all(re.fullmatch("c[0-9a-z]{24}", new_cuid()) for _ in range(200))


def test_later_cuids_sort_after_earlier_ones() -> None:
    made = [new_cuid()[:9] for _ in range(200)]
    assert made == sorted(made)


def test_cuids_are_unique_across_threads() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = [made for many in threads.map(_many, [500] * 16) for made in many]
    assert len(set(made)) == len(made) == 8_000


def test_forked_process_makes_other_cuids() -> None:
    new_cuid()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "".join(_many(20)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    text = os.read(reading, 10_000).decode()
    os.close(reading)
    os.close(writing)
    theirs = {text[at + 9 : at + 25] for at in range(0, len(text), 25)}
    assert len(theirs) == 20
    assert not theirs & {made[9:] for made in _many(200)}


def _many(number: int) -> list[str]:
    return [new_cuid() for _ in range(number)]
