"""Progress of a command, shown on stderr if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def show_progress(text: str) -> Iterator[Callable[[str], None]]:
    """Show a text until the block ends; yield a function that replaces the text."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    with Console(stderr=True).status(text) as status:
        yield status.update


def _ignore(text: str) -> None:
    """Show nothing: there is no terminal."""
