"""Cases: forbidden edits, the paths to try them on, and the expected refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bypass.edit_paths import WRITES, Defense, Edit, EditPath
from tests.bypass.interfaces import STOCK_ADMIN
from tests.bypass.live_data import LiveData
from workflows.models import EntityName
from workflows.refusals import Refusal

Edits = Callable[[LiveData], Mapping[str, Edit]]
Rows = Callable[[LiveData], Mapping[str, Any]]
Values = Callable[[LiveData], dict[str, Any]]
GUARDED = (Defense.GUARD, Defense.API, Defense.PAGE, Defense.COMMAND)


@dataclass(frozen=True)
class BypassCase:
    """Edits that must be refused while executions are live.

    Args:
        edits: the forbidden edits, by target.
        paths: the paths on which they are tried.
        refusal: the class of the guard's refusal.
        message: a part of its message, or one per target.
        service: the service that the refusal of a bulk statement names.
        legal_edit: the same edit of an unused row, which is legal.
        legal_paths: the paths on which the legal edit is accepted.
        has_blockers: whether the refusal names blockers.
    """

    name: str
    edits: Edits
    paths: Sequence[EditPath]
    refusal: type[Refusal] | tuple[type[Refusal], ...]
    message: str | Mapping[str, str]
    service: str = ""
    entity_name: str = EntityName.FINDING
    legal_edit: Callable[[LiveData], Edit] | None = None
    legal_paths: Sequence[EditPath] = ()
    has_blockers: bool = False

    def message_for(self, target: str) -> str:
        """Return the expected part of the message for this target."""
        return self.message if isinstance(self.message, str) else self.message[target]


def edits_of(rows: Rows, values: Values | None = None) -> Edits:
    """Return edits of these rows: deletions, or writes of values, also from a stale copy."""

    def edits(data: LiveData) -> dict[str, Edit]:
        found = rows(data).items()
        if values is None:
            return {target: Edit(row) for target, row in found}
        return {target: Edit(row, values(data), row) for target, row in found}

    return edits


def write_once_case(
    name: str, rows: Rows, values: Values, refusal: type[Refusal], service: str
) -> BypassCase:
    """Return the case of a write-once field."""
    return BypassCase(
        name,
        edits_of(rows, values),
        [*WRITES, *STOCK_ADMIN],
        refusal=refusal,
        message="cannot be changed",
        service=service,
    )


def guarded_paths(paths: Sequence[EditPath], *without: str) -> list[EditPath]:
    """Return the paths that ask a guard, which accepts legal edits."""
    return [path for path in paths if path.defense in GUARDED and path.name not in without]
