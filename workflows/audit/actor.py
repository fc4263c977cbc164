"""The actor of the current request or command, and the interface it came through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.functional import LazyObject, empty


class Interface(StrEnum):
    """The interfaces. ``PYTHON`` is the default: code that sets no actor."""

    ADMIN = "admin"
    API = "api"
    COMMAND = "command"
    PYTHON = "python"

    @property
    def label(self) -> str:
        """Return the name for users."""
        return "API" if self is Interface.API else self.value.capitalize()


def _no_user() -> Any:
    return None


@dataclass(frozen=True, slots=True)
class Actor:
    """The user who acts now, and the interface.

    ``user`` is a function, because the API knows its user only inside the view. ``account`` is the
    name of an actor without a user: the system account that runs a command.
    """

    interface: Interface = Interface.PYTHON
    request_id: str = ""
    user: Callable[[], Any] = _no_user
    account: str = ""


_PYTHON = Actor()
_current: ContextVar[Actor] = ContextVar("actor", default=_PYTHON)


def current() -> Actor:
    """Return the actor of this thread or task."""
    return _current.get()


def user() -> Any:
    """Return the user who acts, or None if there is none."""
    found = _current.get().user()
    return found if found is not None and found.is_authenticated else None


def known_name() -> str:
    """Return the name of the actor without reading a user that was not read yet.

    Logs call this: reading the user takes a statement, which fails when the database does.
    """
    actor = _current.get()
    found = actor.user()
    if isinstance(found, LazyObject) and found._wrapped is empty:  # type: ignore[attr-defined]
        return ""
    if found is None or not found.is_authenticated:
        return actor.account
    return str(found.get_username())


@contextmanager
def act_as(actor: Actor) -> Iterator[None]:
    """Set the actor for the block."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)
