"""One line of the table: what is to be changed, which ways lead there, and what refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.doors.faces import STOCK_ADMIN
from tests.doors.house import House
from tests.doors.ways import WRITES, Behind, Edit, Way
from workflows.models import EntityName
from workflows.refusals import Refusal

Edits = Callable[[House], Mapping[str, Edit]]
Rows = Callable[[House], Mapping[str, Any]]
Values = Callable[[House], dict[str, Any]]
ACCEPTING = (Behind.GUARD, Behind.API, Behind.PAGE, Behind.COMMAND)


@dataclass(frozen=True)
class Subject:
    """What a live execution needs, and the ways that would change it.

    Args:
        edits: by target, what is tried while executions run.
        refusal: what the guard answers, with the words ``says``, which may differ by target.
        service: what the sentence of a bulk statement names.
        twin: a row of the same kind that nothing needs, for which the edit is legal.
        legal: the ways by which the twin's edit is accepted.
        has_blockers: whether the refusal names what stands in the way.
    """

    name: str
    edits: Edits
    ways: Sequence[Way]
    refusal: type[Refusal] | tuple[type[Refusal], ...]
    says: str | Mapping[str, str]
    service: str = ""
    entity_name: str = EntityName.FINDING
    twin: Callable[[House], Edit] | None = None
    legal: Sequence[Way] = ()
    has_blockers: bool = False

    def words(self, target: str) -> str:
        """What the refusal says of this target."""
        return self.says if isinstance(self.says, str) else self.says[target]


def on(rows: Rows, values: Values | None = None) -> Edits:
    """Each of these rows as it is, or, with values, written to from a stale copy as well."""

    def edits(house: House) -> dict[str, Edit]:
        found = rows(house).items()
        if values is None:
            return {target: Edit(row) for target, row in found}
        return {target: Edit(row, values(house), row) for target, row in found}

    return edits


def written_once(
    name: str, rows: Rows, values: Values, refusal: type[Refusal], service: str
) -> Subject:
    """Rows of which nothing is written after they were made."""
    return Subject(
        name,
        on(rows, values),
        [*WRITES, *STOCK_ADMIN],
        refusal=refusal,
        says="is write-once",
        service=service,
    )


def accepting(ways: Sequence[Way], *but: str) -> list[Way]:
    """The ways that ask a guard, and so accept what is legal."""
    return [way for way in ways if way.behind in ACCEPTING and way.name not in but]
