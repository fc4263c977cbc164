"""L9: whoever a version asks is known by its account, so that a step finds its people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from executions.integrity.violation import CHUNK, Violation
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


def candidates() -> Iterator[Violation]:
    """L9: a version has the candidates that its graph names, and no others."""
    in_force = Version.objects.filter(in_force=True).order_by("pk")
    last, is_more = 0, True
    while is_more:
        batch = list(in_force.filter(pk__gt=last)[:CHUNK])
        for version, flaws in flaws_of(batch):
            for flaw in flaws:
                yield Violation(
                    "L9", "version", version.cuid, flaw.detail, workflows=(version.workflow_id,)
                )
        is_more = len(batch) == CHUNK
        last = batch[-1].pk if batch else last


def flaws_of(versions: list[Version]) -> Iterator[tuple[Version, list[Flaw]]]:
    """Yield the versions whose candidates are not those that their graphs name."""
    stored: dict[int, list[Candidate]] = {}
    rows = Candidate.objects.filter(version__in=[row.pk for row in versions], step="")
    for row in rows.select_related("group", "user"):
        stored.setdefault(row.version_id, []).append(row)
    unknown = [row for rows in stored.values() for row in rows if row.is_unknown]
    given = _accounts(unknown)
    for version in versions:
        if flaws := list(_flaws(version, stored.get(version.pk, []), given)):
            yield version, flaws


def _flaws(version: Version, rows: list[Candidate], given: set[tuple[bool, str]]) -> Iterator[Flaw]:
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
        if row.is_unknown and (row.is_group, row.name) in given:
            yield Flaw(one, row, f"Its candidate {_shown(one)} exists, but is not asked.")
    for place, one in named.items():
        if place not in there:
            yield Flaw(one, None, f"It names {_shown(one)}, but has no candidate for it.")


def _shown(one: Named) -> str:
    return f"{'group' if one.is_group else 'user'} “{one.name}” of “{one.node_id}”"


def _accounts(rows: list[Candidate]) -> set[tuple[bool, str]]:
    names = {(row.is_group, row.name) for row in rows}
    found: list[Any] = resolve(Named("", *name) for name in names)
    return {(row.is_group, row.name) for row in found if not row.is_unknown}
