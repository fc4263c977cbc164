"""I9: each group and user that a version names has a candidate row, so that steps find people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from executions.integrity.violation import CHUNK
from workflows.models import Candidate, Version
from workflows.models.candidate import (
    AssigneeName,
    find_assignee_names,
    node_key,
    resolve_candidates,
)

CandidateKey = tuple[str, bool, str, bool]
"""A node id, whether the name is that of a group (otherwise of a user), the name, and whether the
deadline adds it."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A group or user without a correct candidate row, or a candidate row that the graph lacks.

    ``is_named`` is False if the graph does not name the candidate.
    """

    named: AssigneeName
    candidate: Candidate | None
    detail: str
    is_named: bool = True


class StoredCandidates:
    """The candidates of versions in force, read at once and compared with their graphs."""

    def __init__(self, **versions: Any) -> None:
        """Read the candidates. ``versions`` are lookups that select the versions."""
        where = {f"version__{name}": value for name, value in versions.items()}
        rows = Candidate.objects.filter(version__in_force=True, step="", **where)
        self._by_version: dict[int, list[Candidate]] = {}
        for row in rows.iterator(CHUNK):
            self._by_version.setdefault(row.version_id, []).append(row)
        stored = self._by_version.values()
        self._known = _accounts([row for rows in stored for row in rows if row.is_unknown])

    def flaws(self, version: Version) -> list[Flaw]:
        """Return how the candidates of a version in force differ from its graph (I9)."""
        if not version.in_force:
            return []
        return list(_flaws(version, self._by_version.get(version.pk, []), self._known))


def _flaws(version: Version, rows: list[Candidate], known: set[tuple[bool, str]]) -> Iterator[Flaw]:
    matched: dict[CandidateKey, Candidate] = {}
    named = {
        (one.node_id, one.is_group, one.name, one.escalates): one
        for one in find_assignee_names(version.source)
    }
    for row in rows:
        key = (row.node_id, row.is_group, row.name, row.is_escalation)
        one = named.get(key)
        stored = node_key(version.pk, row.node_id, escalates=row.is_escalation)
        if one is None or key in matched or row.key != stored:
            found = AssigneeName(*key[:3], escalates=row.is_escalation)
            yield Flaw(found, row, f"The candidate {_describe(found)} is not in its graph.", False)
            continue
        matched[key] = row
        if row.is_unknown and (row.is_group, row.name) in known:
            yield Flaw(
                one, row, f"The candidate {_describe(one)} is stored as unknown, but exists."
            )
        elif row.needed != one.needed:
            detail = (
                f"The candidate {_describe(one)} needs {row.needed} votes instead of {one.needed}."
            )
            yield Flaw(one, row, detail)
        elif (row.excludes_starter, row.excludes_submitters) != (
            one.excludes_starter,
            one.excludes_submitters,
        ):
            detail = f"The candidate {_describe(one)} excludes others than its graph."
            yield Flaw(one, row, detail)
    for key, one in named.items():
        if key not in matched:
            yield Flaw(one, None, f"It names the {_describe(one)}, but has no candidate for it.")


def _describe(one: AssigneeName) -> str:
    return f"{'group' if one.is_group else 'user'} “{one.name}” of “{one.node_id}”"


def _accounts(rows: list[Candidate]) -> set[tuple[bool, str]]:
    names = {(row.is_group, row.name) for row in rows}
    found: list[Any] = resolve_candidates(AssigneeName("", *name) for name in names)
    return {(row.is_group, row.name) for row in found if not row.is_unknown}
