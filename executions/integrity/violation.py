"""The result of a failed check: the invariant, the record and the remedy."""

from __future__ import annotations

from dataclasses import dataclass, field

DB = "default"
CHUNK = 500

REPAIR = "manage.py repair_executions"
"""The remedy for violations that the repair command can resolve."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A record that violates an invariant.

    ``invariant`` is I1 to I9, or names a safeguard: ``write_once``, ``foreign_key``,
    ``pending_change``, ``audit_log`` or ``file``. ``model`` is the verbose name of the record's
    model. ``remedy`` is the command that repairs the record, or the decision that an operator can
    make.
    ``workflows`` and ``root`` are the ids of the workflows and of the root execution that a
    repair has to lock.
    """

    invariant: str
    model: str
    cuid: str
    detail: str
    remedy: str = REPAIR
    workflows: tuple[int, ...] = field(default=(), compare=False)
    root: int | None = field(default=None, compare=False)

    def as_data(self) -> dict[str, str]:
        """Return the violation as JSON data."""
        return {
            "invariant": self.invariant,
            "model": self.model,
            "cuid": self.cuid,
            "detail": self.detail,
            "remedy": self.remedy,
        }
