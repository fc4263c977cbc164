"""I3, I4, I6, I7, I9: stored versions are unchanged, and calls are pinned and have no cycles."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Q

from executions.integrity.candidates import StoredCandidates
from executions.integrity.violation import CHUNK, Violation
from executions.models import LIVE, ClosureMember, Execution
from workflows.audit.log import Action
from workflows.graph import find_calls
from workflows.models import AuditEntry, Reference, Version, Workflow

Key = TypeVar("Key", bound=Hashable)

CLOCK_TOLERANCE = timedelta(minutes=5)
"""A start and a save that are no further apart count as simultaneous: a save stores the time
before it commits, and the clocks of two machines differ.
"""


def check_versions() -> Iterator[Violation]:
    """Yield versions that do not match their checksum (I4), whose references differ from their
    ``run_workflow`` nodes (I6), or whose candidates differ from the named people (I9).
    """
    candidates = StoredCandidates()
    stored: dict[int, set[tuple[str, str]]] = {}
    mismatched: set[int] = set()
    rows = Reference.objects.order_by().values_list(
        *("version_id", "node_id", "callee__cuid", "context_key", "version__context_key"),
        *("in_force", "version__in_force"),
    )
    for version_id, node, cuid, key, version_key, in_force, version_in_force in rows.iterator(
        CHUNK
    ):
        stored.setdefault(version_id, set()).add((node, cuid))
        if (key, in_force) != (version_key, version_in_force):
            mismatched.add(version_id)
    for version in Version.objects.select_related("workflow").iterator(CHUNK):
        if version.compute_checksum() != version.checksum:
            yield _violation(version, "I4", f"{version} does not match its checksum.")
        called = set(find_calls(version.source))
        referenced = stored.get(version.pk, set())
        for node, cuid in sorted(called - referenced):
            detail = f"Node “{node}” of {version} calls {cuid}, but has no reference."
            yield _violation(version, "I6", detail)
        for node, cuid in sorted(referenced - called):
            detail = f"{version} has a reference of node “{node}” to {cuid}, but no such call."
            yield _violation(version, "I6", detail)
        for flaw in candidates.flaws(version):
            yield _violation(version, "I9", flaw.detail)
        if version.pk in mismatched:
            detail = f"A reference of {version} has another context or state than the version."
            yield _violation(version, "I6", detail)


def _violation(version: Version, invariant: str, detail: str) -> Violation:
    return Violation(invariant, "version", version.cuid, detail, workflows=(version.workflow_id,))


@dataclass(frozen=True, slots=True)
class RootStart:
    """The start of a root execution: time, workflow and version, and pinned versions.

    ``own`` has the ids of its workflow and version, ``pinned`` the id of the pinned version by the
    id of the callee.
    """

    at: datetime
    own: tuple[int, int]
    pinned: dict[int, int]

    @property
    def versions(self) -> dict[int, int]:
        """The version of each workflow that it runs or can call, as ids."""
        return {**dict([self.own]), **self.pinned}


def _live_root_starts() -> dict[int, RootStart]:
    """Return the start of each live root by the id of the root."""
    roots = Execution.objects.filter(status__in=LIVE, root=None).order_by()
    rows = list(
        roots.values_list("pk", "workflow_id", "version_id", "closure_id", "started_at").iterator(
            CHUNK
        )
    )
    pinned = _pins_of_closures(roots.values("closure")) if rows else {}
    return {
        pk: RootStart(at, (workflow, version), pinned.get(closure, {}))
        for pk, workflow, version, closure, at in rows
    }


def _pins_of_closures(closures: Any) -> dict[int | None, dict[int, int]]:
    """Return the pinned versions of these closures: by closure and callee, as ids."""
    found: dict[int | None, dict[int, int]] = {}
    rows = ClosureMember.objects.filter(closure__in=closures).order_by()
    for closure, callee, version in rows.values_list(
        "closure_id", "callee_id", "version_id"
    ).iterator(CHUNK):
        found.setdefault(closure, {})[callee] = version
    return found


def find_callees(versions: Iterable[int]) -> dict[int, set[int]]:
    """Return the ids of the workflows that each of these versions calls, by version id."""
    found: dict[int, set[int]] = {}
    wanted = sorted(set(versions))
    for at in range(0, len(wanted), CHUNK):
        rows = Reference.objects.filter(version_id__in=wanted[at : at + CHUNK]).order_by()
        for version, callee in rows.values_list("version_id", "callee_id"):
            found.setdefault(version, set()).add(callee)
    return found


def check_closures() -> Iterator[Violation]:
    """Yield live roots with a call that is not pinned (I3), with pinned versions that call each
    other in a cycle (I7), or with a version that was not the latest at the start (I3).
    """
    roots = _live_root_starts()
    callees = find_callees(pk for start in roots.values() for pk in start.versions.values())
    histories = VersionHistories(
        workflow for start in roots.values() for workflow in (start.own[0], *start.pinned)
    )
    results: dict[tuple[tuple[int, int], ...], tuple[set[int], bool]] = {}
    for root_id, start in roots.items():
        versions = start.versions
        key = tuple(sorted(versions.items()))
        if key not in results:
            called = set().union(*(callees.get(version, set()) for version in versions.values()))
            below = {one: callees.get(version, set()) for one, version in versions.items()}
            results[key] = called - set(versions), bool(find_cyclic(below))
        missing, has_cycle = results[key]
        if missing:
            named = Workflow.objects.filter(pk__in=missing).values_list("cuid", flat=True)
            cuids = ", ".join(named)
            yield _root_violation(
                root_id, "I3", f"It can call {cuids}, but has not pinned a version."
            )
        if has_cycle:
            yield _root_violation(root_id, "I7", "Its pinned versions call each other in a cycle.")
        inconsistent = [
            one
            for one, version in versions.items()
            if histories.is_inconsistent(one, version, start)
        ]
        if inconsistent and not was_moved(_cuid(root_id)):
            named = Version.objects.filter(pk__in=[versions[one] for one in inconsistent])
            titles = ", ".join(str(row) for row in named.select_related("workflow"))
            detail = f"{titles} was not the latest version when it started."
            yield _root_violation(root_id, "I3", detail)


def _root_violation(root_id: int, invariant: str, detail: str) -> Violation:
    return Violation(invariant, "execution", _cuid(root_id), detail, root=root_id)


def _cuid(root_id: int) -> str:
    return Execution.objects.values_list("cuid", flat=True).get(pk=root_id)


def was_moved(cuid: str) -> bool:
    """Return True if the audit log has a change of the execution's versions since its start."""
    entries = AuditEntry.objects.filter(cuid=cuid, kind="execution", refused=False)
    repaired = Q(after__has_key="version_id") | Q(after__has_key="pinned")
    moved = Q(action=Action.MOVED)
    return entries.filter(moved | Q(repaired, action=Action.CHANGED)).exists()


class VersionHistories:
    """The versions of workflows in the order of their numbers, with the times of their saves."""

    def __init__(self, workflows: Iterable[int]) -> None:
        self._rows: dict[int, list[tuple[int, datetime]]] = {}
        wanted = sorted(set(workflows))
        for at in range(0, len(wanted), CHUNK):
            rows = Version.objects.filter(workflow_id__in=wanted[at : at + CHUNK])
            for workflow, pk, written in rows.order_by("workflow_id", "number").values_list(
                "workflow_id", "pk", "created_at"
            ):
                self._rows.setdefault(workflow, []).append((pk, written))

    def is_inconsistent(self, workflow: int, version: int, start: RootStart) -> bool:
        """Return True if another version of the workflow was certainly the latest at the start."""
        rows = self._rows.get(workflow, [])
        index = next((index for index, row in enumerate(rows) if row[0] == version), None)
        if index is None or len(rows) == 1:
            return False
        before, after = start.at - CLOCK_TOLERANCE, start.at + CLOCK_TOLERANCE
        if index + 1 < len(rows) and rows[index + 1][1] < before:
            return True
        return index > 0 and rows[index][1] > after and rows[0][1] <= after


def check_cycles() -> Iterator[Violation]:
    """Yield the workflows on or above a cycle of the calls of latest versions (I7)."""
    latest = dict(Version.objects.latest_of_each().order_by().values_list("workflow_id", "pk"))
    callees = find_callees(latest.values())
    calls = {workflow: callees.get(version, set()) for workflow, version in latest.items()}
    on_cycle = find_cyclic(calls)
    if not on_cycle:
        return
    for cuid, title in Workflow.objects.filter(pk__in=on_cycle).values_list("cuid", "title"):
        yield Violation(
            "I7",
            "workflow",
            cuid,
            f"“{title}” calls itself, directly or through other workflows.",
            remedy="Remove the call from the graph of one of these workflows.",
        )


def find_cyclic(calls: Mapping[Key, set[Key]]) -> set[Key]:
    """Return the callers that are on a cycle or lead to one.

    They remain when callers without callees are removed repeatedly.
    """
    left = {
        caller: {callee for callee in below if callee in calls} for caller, below in calls.items()
    }
    callers: dict[Key, set[Key]] = {}
    for caller, below in left.items():
        for callee in below:
            callers.setdefault(callee, set()).add(caller)
    leaves = [node for node, below in left.items() if not below]
    while leaves:
        leaf = leaves.pop()
        del left[leaf]
        for caller in callers.get(leaf, ()):
            left[caller].discard(leaf)
            if not left[caller]:
                leaves.append(caller)
    return set(left)
