"""Who acts, and through which face: set once where a request or a command comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Face(StrEnum):
    """The ways in; what comes by none of the first three is Python's own."""

    ADMIN = "admin"
    API = "api"
    COMMAND = "command"
    PYTHON = "python"

    @property
    def label(self) -> str:
        """How a person is told of it."""
        return "API" if self is Face.API else self.value.capitalize()


def _nobody() -> Any:
    return None


@dataclass(frozen=True, slots=True)
class Acting:
    """What is known of whoever acts now.

    ``user`` is asked late: the API knows its user only once the view has been reached.
    ``account`` names whoever has no user here: the system's account that runs a command.
    """

    face: Face = Face.PYTHON
    request_id: str = ""
    user: Callable[[], Any] = _nobody
    account: str = ""


_NOBODY = Acting()
_acting: ContextVar[Acting] = ContextVar("acting", default=_NOBODY)


def current() -> Acting:
    """Whoever acts in this thread or task."""
    return _acting.get()


def user() -> Any:
    """The user who acts, or None where none is known."""
    found = _acting.get().user()
    return found if found is not None and found.is_authenticated else None


@contextmanager
def acting(acts: Acting) -> Iterator[None]:
    """Let ``acts`` be whoever acts until the block ends."""
    token = _acting.set(acts)
    try:
        yield
    finally:
        _acting.reset(token)
