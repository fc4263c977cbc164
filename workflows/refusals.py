"""Refusals: the message, its code, the blockers and the remedies.

A refusal is a Django ``ValidationError``, so that forms, serializers and ``full_clean()`` can use
it. The interfaces also show its blockers and remedies. The refusals are defined beside their rules,
in ``workflows.graph`` and ``workflows.guards``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem: its place (a JSON pointer, RFC 6901), its code and a sentence."""

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class BlockingExecution:
    """A live execution that blocks an edit."""

    cuid: str
    status: str
    workflow_cuid: str
    workflow_title: str


@dataclass(frozen=True, slots=True)
class BlockingWorkflow:
    """A workflow that blocks an edit."""

    cuid: str
    title: str


@dataclass(frozen=True, slots=True)
class Blockers:
    """The blockers of an edit. ``total`` counts all of them; the lists may be cut."""

    executions: Sequence[BlockingExecution] = ()
    workflows: Sequence[BlockingWorkflow] = ()
    total: int = 0

    def __bool__(self) -> bool:
        return self.total > 0


@dataclass(frozen=True, slots=True)
class Remedy:
    """A remedy: its code, a sentence, and the cuids of the workflows that it names."""

    code: str
    detail: str
    workflows: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class Attempt:
    """An edit for the audit log: the action, the record, and the values before and after."""

    action: str
    kind: str
    cuid: str
    title: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    by: Any = None


class MessageError(Exception):
    """An error whose class has its message. A raise may give a more exact one."""

    message: Any

    def __init__(self, message: str = "") -> None:
        super().__init__(message or str(self.message))


class Refusal(ValidationError):
    # A string, not a docstring: it can be translated, and python -OO keeps it.
    message: Any = _("The edit was refused.")
    code: str = "refused"

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        problems: Iterable[Problem] = (),
        blockers: Blockers | None = None,
        remedies: Iterable[Remedy] = (),
    ) -> None:
        super().__init__(message or str(type(self).message), code=code or type(self).code)
        self.problems: list[Problem] = list(problems)
        self.blockers: Blockers = blockers or Blockers()
        self.remedies: list[Remedy] = list(remedies)
        self.attempts: Sequence[Attempt] = ()
        self.is_recorded = False
        self.is_announced = False


def find_refusals(error: ValidationError) -> list[Refusal]:
    """Return the refusals inside a ``ValidationError``."""
    by_field = error.error_dict.values() if hasattr(error, "error_dict") else [error.error_list]
    return [leaf for leaves in by_field for leaf in leaves if isinstance(leaf, Refusal)]
