"""The report of a repair: repaired records, unresolved violations, entries of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.audit.log import Action, make_attempt
from workflows.refusals import Attempt

RESTORE = "Restore it from a backup"


@dataclass(frozen=True, slots=True)
class RepairedRecord:
    """A record that was changed, with a sentence that says how.

    ``model`` is the verbose name of the record's model.
    """

    model: str
    cuid: str
    detail: str


@dataclass(frozen=True, slots=True)
class UnresolvedViolation:
    """A violation that the repair could not resolve, with the reason and the remedy."""

    model: str
    cuid: str
    detail: str
    remedy: str


@dataclass(slots=True)
class Report:
    """The result of a repair. ``attempts`` are written to the audit log."""

    repaired: list[RepairedRecord] = field(default_factory=list)
    unresolved: list[UnresolvedViolation] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    def add_repair(
        self,
        row: Any,
        detail: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Add the repair of a record. The audit entry is written at the end of the group."""
        self.repaired.append(RepairedRecord(_model_of(row), row.cuid, detail))
        entry = make_attempt(
            row, Action.CHANGED, before=before, after=after, why=f"Repair: {detail}"
        )
        self.attempts.append(entry)

    def add_safeguard_repair(self, name: str, key: str, detail: str) -> None:
        """Add the repair of a safeguard, which has no cuid and no audit entries of its own."""
        self.repaired.append(RepairedRecord(name, key, detail))
        attempt = Attempt(Action.CHANGED, name, key[:25], detail[:200], why=f"Repair: {detail}")
        self.attempts.append(attempt)

    def add_unresolved(self, row: Any, detail: str, remedy: str) -> None:
        """Add a violation of a record that could not be resolved."""
        self.unresolved.append(UnresolvedViolation(_model_of(row), row.cuid, detail, remedy))

    def merge(self, other: Report) -> None:
        """Add the results of another group. An unresolved violation is listed only once."""
        self.repaired += other.repaired
        self.unresolved += [row for row in other.unresolved if row not in self.unresolved]


def _model_of(row: Any) -> str:
    return str(row._meta.concrete_model._meta.verbose_name)
