"""The closure of a workflow: the workflow and all workflows that it can call, with versions.

The first start finds and checks a closure under locks (``services.starting``) and caches it. Later
starts use the cached closure, and verify with one statement that it is still current. Closures
that cannot be started are never cached.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from executions.models import get_closure
from workflows.db import raw_rows
from workflows.models import Version, Workflow

CACHED_CLOSURES = 1_000

# Columns that never change; all others are read on access.
_VERSION_COLUMNS = ("id", "cuid", "workflow_id", "number", "checksum")
_WORKFLOW_COLUMNS = ("id", "cuid")


@dataclass(frozen=True, slots=True)
class CachedClosure:
    """The versions that a start of a workflow runs and pins, the workflow's own first.

    ``revisions`` are the revisions of the workflows (``Store.workflow_revision``). ``stored_id``
    and ``checksum`` are those of the stored closure; None and empty if nothing is called.
    """

    stored_id: int | None
    checksum: str
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

    def pinned(self) -> dict[str, Version]:
        """Return the pinned version of every callee, by the callee's cuid."""
        return {
            self.workflows[place]["cuid"]: self.version(place)
            for place in range(1, len(self.versions))
        }


_closures: dict[int, CachedClosure] = {}


def cache_closure(workflow_id: int, versions: Sequence[Version]) -> CachedClosure:
    """Cache the closure of a workflow, its own version first, and store it if it is new.

    The workflows must be locked. The versions are annotated with the ``revision`` of their
    workflow.

    Raises:
        IntegrityError: another transaction has stored the closure since the snapshot of this one.
    """
    stored = get_closure(versions[0], versions[1:])
    closure = CachedClosure(
        None if stored is None else stored.pk,
        "" if stored is None else stored.checksum,
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


def cached_closure(workflow_id: int) -> CachedClosure | None:
    """Return the closure of an earlier start. The caller verifies that it is current."""
    return _closures.get(workflow_id)


def forget_closure(workflow_id: int) -> None:
    """Remove a closure from the cache, for the next start to find it again."""
    _closures.pop(workflow_id, None)


def _values(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: row.__dict__[name] for name in names}
