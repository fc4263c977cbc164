"""What a start freezes, remembered: the workflow and all that it can call, each with its version.

A closure is found and judged under locks once (``services.starting``). Later starts take it as it
was, and ask in one look whether it still holds; what they may not start on is never remembered.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Value
from django.db.models.expressions import RawSQL

from executions.models import Pin
from workflows.db import raw_rows
from workflows.db.prepared import ON_POSTGRESQL, Statement
from workflows.models import Version, Workflow

REMEMBERED = 1_000

HOLDS = (
    "SELECT count(*) FROM workflows_version v JOIN workflows_workflow w ON w.id = v.workflow_id"
    " WHERE {these} AND v.in_force AND w.state = 'active'"
    " AND NOT EXISTS (SELECT 1 FROM workflows_version l"
    " WHERE l.workflow_id = v.workflow_id AND l.number > v.number)"
    " AND NOT EXISTS (SELECT 1 FROM workflows_pendingworkflow p"
    " WHERE p.workflow_id = w.id AND p.waiting)"
)
"""How many of these versions are what a start would run: the latest of an active workflow that
no change waits for."""

# SQLite gives the id of a row that was rolled back to another one; a cuid is given once.
_HOLDS_ON_SQLITE = Statement(HOLDS.format(these="v.cuid IN (SELECT value FROM json_each($1))"))
WRITTEN: Any = (
    RawSQL("workflows_workflow.id || ':' || workflows_workflow.xmin", [])
    if ON_POSTGRESQL
    else Value("")
)
"""What ``remember`` asks of versions that are read with their workflows, as ``written``."""


@dataclass(frozen=True, slots=True)
class Closure:
    """The versions that a start of a workflow runs and pins.

    ``written``: id and ``xmin`` of each workflow, on PostgreSQL; every edit writes the row.
    """

    context_key: str
    versions: tuple[dict[str, Any], ...]
    workflows: tuple[dict[str, Any], ...]
    written: tuple[str, ...]

    @property
    def workflow_ids(self) -> list[int]:
        return [values["id"] for values in self.workflows]

    @property
    def version_ids(self) -> list[int]:
        return [values["id"] for values in self.versions]

    @property
    def checksums(self) -> list[str]:
        return [values["checksum"] for values in self.versions]

    def version(self, place: int = 0) -> Version:
        """One of the versions, the workflow's own first; an instance of the caller's own."""
        version = raw_rows.stored(Version, self.versions[place])
        raw_rows.relate(version, workflow=raw_rows.stored(Workflow, self.workflows[place]))
        return version

    def pins(self, root: Any) -> list[Pin]:
        """The pins of a new root, whose id is known."""
        pins = []
        for place in range(1, len(self.versions)):
            version = self.version(place)
            pin = raw_rows.new(
                Pin,
                root_id=root.pk,
                callee_id=version.workflow_id,
                version_id=version.pk,
                context_key=self.context_key,
            )
            raw_rows.relate(pin, version=version, callee=version.workflow)
            pins.append(pin)
        return pins


_remembered: dict[int, Closure] = {}


def remember(workflow_id: int, versions: Sequence[Version]) -> Closure:
    """Keep the closure of a workflow, its own version first; its workflows are locked."""
    closure = Closure(
        versions[0].context_key,
        tuple(_values(version, _OF_A_VERSION) for version in versions),
        tuple(_values(version.workflow, _OF_A_WORKFLOW) for version in versions),
        tuple(getattr(version, "written", "") for version in versions),
    )
    if len(_remembered) >= REMEMBERED:
        # The oldest; a list is taken at once, whatever other threads do to the rest.
        for oldest in list(_remembered)[:1]:
            _remembered.pop(oldest, None)
    _remembered[workflow_id] = closure
    return closure


def remembered(workflow_id: int) -> Closure | None:
    """The closure as it was at an earlier start; whether it holds is asked later."""
    return _remembered.get(workflow_id)


def forget(workflow_id: int) -> None:
    """Find it anew at the next start."""
    _remembered.pop(workflow_id, None)


def holds(closure: Closure) -> bool:
    """Whether a start would run just these versions now; on SQLite, whose writer is alone."""
    cuids = [values["cuid"] for values in closure.versions]
    found = _HOLDS_ON_SQLITE.execute([json.dumps(cuids)])
    return bool(found[0][0] == len(cuids))


# What is written once; all else is read when somebody asks.
_OF_A_VERSION = ("id", "cuid", "workflow_id", "number", "checksum")
_OF_A_WORKFLOW = ("id", "cuid")


def _values(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: row.__dict__[name] for name in names}
