"""L9: whoever a version asks is known by its account, so that a step finds its people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from executions.integrity.violation import CHUNK
from workflows.models import Candidate, Version
from workflows.models.candidate import Named, named_in, node_key, resolve

Place = tuple[str, bool, str]
"""A node of a version, and a group (or not: a user) that it names."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One group or user that a version names without a sound candidate, or a candidate too many."""

    named: Named
    candidate: Candidate | None
    detail: str
    is_named: bool = True


class StoredCandidates:
    """The candidates of versions in force, read at once, to be compared with their graphs."""

    def __init__(self, **versions: Any) -> None:
        """Read the candidates; ``versions`` narrows the versions."""
        where = {f"version__{name}": value for name, value in versions.items()}
        rows = Candidate.objects.filter(version__in_force=True, step="", **where)
        self._by_version: dict[int, list[Candidate]] = {}
        for row in rows.iterator(CHUNK):
            self._by_version.setdefault(row.version_id, []).append(row)
        stored = self._by_version.values()
        self._known = _accounts([row for rows in stored for row in rows if row.is_unknown])

    def flaws(self, version: Version) -> list[Flaw]:
        """Return how the candidates of a version in force differ from its graph (L9)."""
        if not version.in_force:
            return []
        return list(_flaws(version, self._by_version.get(version.pk, []), self._known))


def _flaws(version: Version, rows: list[Candidate], known: set[tuple[bool, str]]) -> Iterator[Flaw]:
    there: dict[Place, Candidate] = {}
    named = {(one.node_id, one.is_group, one.name): one for one in named_in(version.source)}
    for row in rows:
        place = (row.node_id, row.is_group, row.name)
        one = named.get(place)
        if one is None or place in there or row.key != node_key(version.pk, row.node_id):
            found = Named(*place)
            yield Flaw(found, row, f"Its candidate {_shown(found)} is not one of its graph.", False)
            continue
        there[place] = row
        if row.is_unknown and (row.is_group, row.name) in known:
            yield Flaw(one, row, f"Its candidate {_shown(one)} exists, but is not asked.")
        elif row.needed != one.needed:
            detail = f"Its candidate {_shown(one)} is one of {row.needed} needed, not {one.needed}."
            yield Flaw(one, row, detail)
    for place, one in named.items():
        if place not in there:
            yield Flaw(one, None, f"It names {_shown(one)}, but has no candidate for it.")


def _shown(one: Named) -> str:
    return f"{'group' if one.is_group else 'user'} “{one.name}” of “{one.node_id}”"


def _accounts(rows: list[Candidate]) -> set[tuple[bool, str]]:
    names = {(row.is_group, row.name) for row in rows}
    found: list[Any] = resolve(Named("", *name) for name in names)
    return {(row.is_group, row.name) for row in found if not row.is_unknown}
