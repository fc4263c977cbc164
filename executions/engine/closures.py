"""The closure of a workflow: the workflow and all workflows that it can call, with versions.

The first start finds and checks a closure under locks (``services.starting``) and caches it. Later
starts use the cached closure, and verify with one statement that it is still current. Closures
that cannot be started are never cached.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from executions.models import Pin
from workflows.db import raw_rows
from workflows.models import Version, Workflow

CACHED_CLOSURES = 1_000

# Columns that never change; all others are read on access.
_VERSION_COLUMNS = ("id", "cuid", "workflow_id", "number", "checksum")
_WORKFLOW_COLUMNS = ("id", "cuid")


@dataclass(frozen=True, slots=True)
class Closure:
    """The versions that a start of a workflow runs and pins, the workflow's own first.

    ``revisions`` are the revisions of the workflows (``Store.workflow_revision``).
    """

    context_key: str
    versions: tuple[dict[str, Any], ...]
    workflows: tuple[dict[str, Any], ...]
    revisions: tuple[str, ...]

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
        """Return a new instance of one of the versions, with its workflow."""
        version = raw_rows.build_stored(Version, self.versions[place])
        raw_rows.set_relations(
            version, workflow=raw_rows.build_stored(Workflow, self.workflows[place])
        )
        return version

    def pins(self, root: Any) -> list[Pin]:
        """Return the pins of a new root, whose id must be known."""
        pins = []
        for place in range(1, len(self.versions)):
            version = self.version(place)
            pin = raw_rows.build_new(
                Pin,
                root_id=root.pk,
                callee_id=version.workflow_id,
                version_id=version.pk,
                context_key=self.context_key,
            )
            raw_rows.set_relations(pin, version=version, callee=version.workflow)
            pins.append(pin)
        return pins


_closures: dict[int, Closure] = {}


def cache_closure(workflow_id: int, versions: Sequence[Version]) -> Closure:
    """Cache the closure of a workflow, its own version first. Its workflows must be locked.

    The versions are annotated with the ``revision`` of their workflow.
    """
    closure = Closure(
        versions[0].context_key,
        tuple(_values(version, _VERSION_COLUMNS) for version in versions),
        tuple(_values(version.workflow, _WORKFLOW_COLUMNS) for version in versions),
        tuple(getattr(version, "revision", "") for version in versions),
    )
    if len(_closures) >= CACHED_CLOSURES:
        # Copy the keys first: other threads may change the cache at the same time.
        for oldest in list(_closures)[:1]:
            _closures.pop(oldest, None)
    _closures[workflow_id] = closure
    return closure


def cached_closure(workflow_id: int) -> Closure | None:
    """Return the closure of an earlier start. The caller verifies that it is current."""
    return _closures.get(workflow_id)


def forget_closure(workflow_id: int) -> None:
    """Remove a closure from the cache, for the next start to find it again."""
    _closures.pop(workflow_id, None)


def _values(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: row.__dict__[name] for name in names}
