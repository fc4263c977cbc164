"""What a refusal carries: the sentence, its code, what stands in the way and what to do.

A refusal is a Django ``ValidationError``, so forms, serializers and ``full_clean()``
understand it without knowing more; a face that knows more finds the blockers and the
remedies as data. The concrete refusals stand beside their rules, in ``graph.py`` and
``guards.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (a JSON pointer, RFC 6901), its code, a sentence."""

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class BlockingExecution:
    """A live execution that stands in the way of an edit."""

    cuid: str
    status: str
    workflow_cuid: str
    workflow_title: str


@dataclass(frozen=True, slots=True)
class BlockingWorkflow:
    """A workflow that stands in the way of an edit."""

    cuid: str
    title: str


@dataclass(frozen=True, slots=True)
class Blockers:
    """What an edit is refused for. ``total`` counts all, the lists may be cut."""

    executions: Sequence[BlockingExecution] = ()
    workflows: Sequence[BlockingWorkflow] = ()
    total: int = 0

    def __bool__(self) -> bool:
        return self.total > 0


@dataclass(frozen=True, slots=True)
class Remedy:
    """A way forward: its code, a sentence, and the cuids of the workflows it speaks of."""

    code: str
    detail: str
    workflows: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class Attempt:
    """An edit that was tried: of what kind of record, which one, what it would have changed."""

    action: str
    kind: str
    cuid: str
    title: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    by: Any = None


class MessageError(Exception):
    """An error whose class holds its message; a more exact one may be given."""

    message: Any

    def __init__(self, message: str = "") -> None:
        super().__init__(message or str(self.message))


class Refusal(ValidationError):
    # A string, no docstring: it can be translated, and Python may run with -OO.
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


def find_refusals(error: ValidationError) -> list[Refusal]:
    """The refusals among what an error holds."""
    by_field = error.error_dict.values() if hasattr(error, "error_dict") else [error.error_list]
    return [leaf for leaves in by_field for leaf in leaves if isinstance(leaf, Refusal)]
