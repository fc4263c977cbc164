"""What a check finds: which law does not hold, of which record, and what helps."""

from __future__ import annotations

from dataclasses import dataclass, field

DB = "default"
CHUNK = 500

REPAIR = "manage.py repair_executions"
"""The remedy for whatever the repair may mend."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold: which one, of what kind of record, its cuid, a sentence.

    ``remedy`` is the command that mends it, or the choice an operator has. ``workflows`` and
    ``root`` are the ids of what a repair would have to look at.
    """

    law: str
    kind: str
    cuid: str
    detail: str
    remedy: str = REPAIR
    workflows: tuple[int, ...] = field(default=(), compare=False)
    root: int | None = field(default=None, compare=False)

    def told(self) -> dict[str, str]:
        """What a program is told of it."""
        return {
            "law": self.law,
            "kind": self.kind,
            "cuid": self.cuid,
            "detail": self.detail,
            "remedy": self.remedy,
        }
