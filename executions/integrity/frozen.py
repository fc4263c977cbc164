"""L4, L6 and L7: what was frozen is as it was written, and what calls what leads to an end."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import Q

from executions.integrity.candidates import StoredCandidates
from executions.integrity.violation import CHUNK, Violation
from executions.models import LIVE, Execution, Pin
from workflows.audit.log import Action
from workflows.graph import calls_in
from workflows.models import AuditEntry, Reference, Version, Workflow

Key = TypeVar("Key", bound=Hashable)

AT_ONCE = timedelta(minutes=5)
"""How far a start and a save may be apart and still be taken for simultaneous: a save tells the
time before it commits, and no two machines have the same.
"""


def versions() -> Iterator[Violation]:
    """L4, L6, L9: a version matches the checksum that was stored when it was written; every
    run_workflow node has its reference, every group and user that is named has its candidate, and
    no others are there.
    """
    candidates = StoredCandidates()
    stored: dict[int, set[tuple[str, str]]] = {}
    apart: set[int] = set()
    rows = Reference.objects.order_by().values_list(
        *("version_id", "node_id", "callee__cuid", "context_key", "version__context_key"),
        *("in_force", "version__in_force"),
    )
    for version_id, node, cuid, key, version_key, in_force, held in rows.iterator(CHUNK):
        stored.setdefault(version_id, set()).add((node, cuid))
        if (key, in_force) != (version_key, held):
            apart.add(version_id)
    for version in Version.objects.select_related("workflow").iterator(CHUNK):
        if version.compute_checksum() != version.checksum:
            yield _of(version, "L4", f"{version} does not match its checksum any more.")
        drawn = set(calls_in(version.source))
        kept = stored.get(version.pk, set())
        for node, cuid in sorted(drawn - kept):
            detail = f"Node “{node}” of {version} calls {cuid} and has no reference."
            yield _of(version, "L6", detail)
        for node, cuid in sorted(kept - drawn):
            detail = (
                f"{version} has a reference of node “{node}” to {cuid} that its source has not."
            )
            yield _of(version, "L6", detail)
        for flaw in candidates.flaws(version):
            yield _of(version, "L9", flaw.detail)
        if version.pk in apart:
            yield _of(version, "L6", f"A reference of {version} is not held as the version is.")


def _of(version: Version, law: str, detail: str) -> Violation:
    return Violation(law, "version", version.cuid, detail, workflows=(version.workflow_id,))


@dataclass(frozen=True, slots=True)
class Began:
    """What a live root began with: when, on which version, and what it has pinned."""

    at: datetime
    own: tuple[int, int]
    pinned: dict[int, int]

    @property
    def versions(self) -> dict[int, int]:
        """The version that it would run of each workflow."""
        return {**dict([self.own]), **self.pinned}


def live_roots() -> dict[int, Began]:
    """What each live root began with, by its id."""
    roots = Execution.objects.filter(status__in=LIVE, root=None).order_by()
    found = {
        pk: Began(at, (workflow, version), {})
        for pk, workflow, version, at in roots.values_list(
            "pk", "workflow_id", "version_id", "started_at"
        ).iterator(CHUNK)
    }
    if not found:
        return found
    pins = Pin.objects.filter(root__in=roots).order_by()
    rows = pins.values_list("root_id", "callee_id", "version_id")
    for root, callee, version in rows.iterator(CHUNK):
        found[root].pinned[callee] = version
    return found


def callees_of(versions: Iterable[int]) -> dict[int, set[int]]:
    """The ids of the workflows that each of these versions calls."""
    found: dict[int, set[int]] = {}
    wanted = sorted(set(versions))
    for at in range(0, len(wanted), CHUNK):
        rows = Reference.objects.filter(version_id__in=wanted[at : at + CHUNK]).order_by()
        for version, callee in rows.values_list("version_id", "callee_id"):
            found.setdefault(version, set()).add(callee)
    return found


def closures() -> Iterator[Violation]:
    """L3, L7: every call of a live root is pinned, nothing that it has pinned calls itself, and
    what it runs and has pinned was the latest when it began.
    """
    roots = live_roots()
    callees = callees_of(pk for began in roots.values() for pk in began.versions.values())
    histories = Histories(
        workflow for began in roots.values() for workflow in (began.own[0], *began.pinned)
    )
    judged: dict[tuple[tuple[int, int], ...], tuple[set[int], bool]] = {}
    for root_id, began in roots.items():
        versions = began.versions
        key = tuple(sorted(versions.items()))
        if key not in judged:
            called = set().union(*(callees.get(version, set()) for version in versions.values()))
            below = {one: callees.get(version, set()) for one, version in versions.items()}
            judged[key] = called - set(versions), bool(on_a_cycle(below))
        missing, calls_itself = judged[key]
        if missing:
            named = Workflow.objects.filter(pk__in=missing).values_list("cuid", flat=True)
            cuids = ", ".join(named)
            yield _of_root(root_id, "L3", f"It can call {cuids}, which is not pinned.")
        if calls_itself:
            yield _of_root(root_id, "L7", "What it has pinned calls itself.")
        late = [one for one, version in versions.items() if histories.is_off(one, version, began)]
        if late and not was_moved(_cuid(root_id)):
            named = Version.objects.filter(pk__in=[versions[one] for one in late])
            shown = ", ".join(str(row) for row in named.select_related("workflow"))
            detail = f"{shown} was not the latest version when it began."
            yield _of_root(root_id, "L3", detail)


def _of_root(root_id: int, law: str, detail: str) -> Violation:
    return Violation(law, "execution", _cuid(root_id), detail, root=root_id)


def _cuid(root_id: int) -> str:
    return Execution.objects.values_list("cuid", flat=True).get(pk=root_id)


def was_moved(cuid: str) -> bool:
    """Whether the log tells that the execution was put onto other versions since it began."""
    entries = AuditEntry.objects.filter(cuid=cuid, kind="execution", refused=False)
    moved = Q(after__has_key="version_id") | Q(after__has_key="pinned")
    return entries.filter(moved, action=Action.CHANGED).exists()


class Histories:
    """The versions of workflows, by number, with the time at which each was written."""

    def __init__(self, workflows: Iterable[int]) -> None:
        self._rows: dict[int, list[tuple[int, datetime]]] = {}
        wanted = sorted(set(workflows))
        for at in range(0, len(wanted), CHUNK):
            rows = Version.objects.filter(workflow_id__in=wanted[at : at + CHUNK])
            for workflow, pk, written in rows.order_by("workflow_id", "number").values_list(
                "workflow_id", "pk", "created_at"
            ):
                self._rows.setdefault(workflow, []).append((pk, written))

    def is_off(self, workflow: int, version: int, began: Began) -> bool:
        """Whether another version of the workflow was clearly the latest then."""
        rows = self._rows.get(workflow, [])
        # What nobody has saved twice is asked of nobody.
        place = next((place for place, row in enumerate(rows) if row[0] == version), None)
        if place is None or len(rows) == 1:
            return False
        before, after = began.at - AT_ONCE, began.at + AT_ONCE
        if place + 1 < len(rows) and rows[place + 1][1] < before:
            return True
        return place > 0 and rows[place][1] > after and rows[0][1] <= after


def cycles() -> Iterator[Violation]:
    """L7: the calls of latest versions have no cycle."""
    latest = dict(Version.objects.latest_of_each().order_by().values_list("workflow_id", "pk"))
    callees = callees_of(latest.values())
    calls = {workflow: callees.get(version, set()) for workflow, version in latest.items()}
    on_cycle = on_a_cycle(calls)
    if not on_cycle:
        return
    for cuid, title in Workflow.objects.filter(pk__in=on_cycle).values_list("cuid", "title"):
        yield Violation(
            "L7",
            "workflow",
            cuid,
            f"“{title}” calls itself, through others or not.",
            remedy="Save the graph of one of them without the call.",
        )


def on_a_cycle(calls: Mapping[Key, set[Key]]) -> set[Key]:
    """The nodes that remain when those without callees are taken away, again and again."""
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
