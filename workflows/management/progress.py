"""How a command tells on a terminal that it is still at work: on stderr, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def at_work(text: str) -> Iterator[Callable[[str], None]]:
    """Show what is done now until the block ends; yields what changes the text."""
    if not sys.stderr.isatty():
        yield _nobody
        return
    with Console(stderr=True).status(text) as shown:
        yield shown.update


def _nobody(text: str) -> None:
    """There is no terminal."""
