"""What a repair has done and what it could not do, for whoever asked and for the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.audit.log import Action, told
from workflows.refusals import Attempt

RESTORE = "Restore it from a backup"


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done to one record, in a sentence."""

    kind: str
    cuid: str
    detail: str


@dataclass(frozen=True, slots=True)
class Left:
    """What could not be mended: of what kind of record, which one, why, and what can be chosen."""

    kind: str
    cuid: str
    detail: str
    choice: str


@dataclass(slots=True)
class Report:
    """What came of a repair."""

    mended: list[Mended] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    def mend(
        self,
        row: Any,
        detail: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Note what was done to a record; the log is told of it when the group is done."""
        kind = str(row._meta.concrete_model._meta.verbose_name)
        self.mended.append(Mended(kind, row.cuid, detail))
        entry = told(row, Action.CHANGED, before=before, after=after, why=f"Repair: {detail}")
        self.attempts.append(entry)

    def note(self, kind: str, cuid: str, detail: str) -> None:
        """Note what was done to something that the log has no entries of."""
        self.mended.append(Mended(kind, cuid, detail))
        attempt = Attempt(Action.CHANGED, kind, cuid[:25], detail[:200], why=f"Repair: {detail}")
        self.attempts.append(attempt)

    def leave(self, row: Any, detail: str, choice: str) -> None:
        """Note what could not be mended."""
        kind = str(row._meta.concrete_model._meta.verbose_name)
        self.left.append(Left(kind, row.cuid, detail, choice))

    def add(self, other: Report) -> None:
        """Take in what another group has come to; a thing that is left is told of once."""
        self.mended += other.mended
        self.left += [row for row in other.left if row not in self.left]
