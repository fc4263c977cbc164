"""The laws, checked against the database: what was edited behind the product's back is named.

The keys hold most of them against raw SQL too; this finds what came in with the constraints
off, or through a hole that no key can close. Queries where they do, Python where JSON is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connections, transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Q, Window
from django.db.models.functions import Coalesce, Lag

from executions.models import LIVE, OPEN, Execution, Pin, Step, StepState
from workflows import seals
from workflows.graph import calls_in
from workflows.models import (
    AuditCounter,
    AuditEntry,
    PendingChange,
    PendingWorkflow,
    Reference,
    Unsealed,
    Version,
    Workflow,
)

DB = "default"
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold: which one, of what kind of record, its cuid, a sentence."""

    law: str
    kind: str
    cuid: str
    detail: str


@contextmanager
def stable_snapshot(using: str = DB) -> Iterator[None]:
    """A transaction that sees one state of the database and keeps no writer waiting."""
    connection: Any = connections[using]
    if connection.vendor == "sqlite":
        # Django reads the mode from the settings when it connects.
        connection.ensure_connection()
        mode, connection.transaction_mode = connection.transaction_mode, "DEFERRED"
        try:
            with transaction.atomic(using=using):
                yield
        finally:
            connection.transaction_mode = mode
        return
    nested = connection.in_atomic_block
    with transaction.atomic(using=using):
        if not nested:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def live_contexts() -> Iterator[Violation]:
    """L1: a live execution's version has the entity context that its workflow has now."""
    rows = (
        Execution.objects.filter(status__in=LIVE)
        .exclude(
            version__context_key=F("workflow__context_key"), context_key=F("version__context_key")
        )
        .select_related("workflow", "version")
        .defer("version__source")
    )
    for row in rows.iterator(CHUNK):
        yield Violation(
            "L1",
            "execution",
            row.cuid,
            f"It runs {row.version} in the context {row.version.context_key}, but its workflow "
            f"{row.workflow.cuid} has {row.workflow.context_key}.",
        )


def latest_contexts() -> Iterator[Violation]:
    """L2: the latest version of a workflow that is not retired has the workflow's context."""
    workflows = Workflow.objects.exclude(state=Workflow.State.RETIRED)
    for row in workflows.filter(versions=None).iterator(CHUNK):
        yield Violation("L2", "workflow", row.cuid, f"“{row.title}” has no version.")
    latest = (
        Version.objects.latest_of_each()
        .exclude(workflow__state=Workflow.State.RETIRED)
        .exclude(context_key=F("workflow__context_key"))
        .select_related("workflow")
        .defer("source")
    )
    for version in latest.iterator(CHUNK):
        yield Violation(
            "L2",
            "workflow",
            version.workflow.cuid,
            f"Its latest version {version.number} has the context {version.context_key}, "
            f"the workflow {version.workflow.context_key}.",
        )


def _running_versions() -> Any:
    executions = Execution.objects.filter(status__in=LIVE, version=OuterRef("pk"))
    pins = Pin.objects.filter(version=OuterRef("pk"), root__status__in=LIVE)
    return Version.objects.filter(Exists(executions) | Exists(pins))


def called_contexts() -> Iterator[Violation]:
    """L3: every callee of a latest or running version has the version's context, and every
    call of a running execution is pinned.
    """
    latest = Version.objects.latest_of_each().exclude(workflow__state=Workflow.State.RETIRED)
    rows = (
        Reference.objects.filter(Q(version__in=latest) | Q(version__in=_running_versions()))
        .exclude(
            callee__context_key=F("version__context_key"), context_key=F("version__context_key")
        )
        .select_related("version__workflow", "callee")
        .defer("version__source")
    )
    for row in rows.iterator(CHUNK):
        yield Violation(
            "L3",
            "version",
            row.version.cuid,
            f"{row.version} has the context {row.version.context_key}; its node “{row.node_id}” "
            f"calls {row.callee.cuid}, which has {row.callee.context_key}.",
        )
    pins = (
        Pin.objects.filter(root__status__in=LIVE)
        .exclude(version__context_key=F("root__context_key"), version__workflow=F("callee"))
        .select_related("root", "version__workflow")
        .defer("version__source")
    )
    for pin in pins.iterator(CHUNK):
        yield Violation(
            "L3",
            "execution",
            pin.root.cuid,
            f"It has pinned {pin.version}, which has the context {pin.version.context_key}.",
        )
    by_root = _versions_by_root()
    callees = _callees_by_version(pk for versions in by_root.values() for pk in versions.values())
    for root_id, versions in by_root.items():
        called = set().union(*(callees.get(version, set()) for version in versions.values()))
        if called - set(versions):
            yield _unpinned(root_id, called - set(versions))


def _versions_by_root() -> dict[int, dict[int, int]]:
    """Of each live root: the version that it would run of each workflow."""
    roots = Execution.objects.filter(status__in=LIVE, root=None)
    found = {
        pk: {workflow: version}
        for pk, workflow, version in roots.values_list("pk", "workflow_id", "version_id")
    }
    pins = Pin.objects.filter(root__in=roots).values_list("root_id", "callee_id", "version_id")
    for root, callee, version in pins.iterator(CHUNK):
        found[root][callee] = version
    return found


def _callees_by_version(versions: Iterable[int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    wanted = sorted(set(versions))
    for at in range(0, len(wanted), CHUNK):
        rows = Reference.objects.filter(version_id__in=wanted[at : at + CHUNK])
        for version, callee in rows.values_list("version_id", "callee_id"):
            found.setdefault(version, set()).add(callee)
    return found


def _unpinned(root_id: int, missing: set[int]) -> Violation:
    root = Execution.objects.get(pk=root_id)
    cuids = ", ".join(Workflow.objects.filter(pk__in=missing).values_list("cuid", flat=True))
    return Violation("L3", "execution", root.cuid, f"It can call {cuids}, which is not pinned.")


def checksums() -> Iterator[Violation]:
    """L4: a version that an execution or a pin has matches its checksum."""
    executions = Execution.objects.filter(version=OuterRef("pk"))
    pins = Pin.objects.filter(version=OuterRef("pk"))
    versions = Version.objects.filter(Exists(executions) | Exists(pins))
    for version in versions.select_related("workflow").iterator(CHUNK):
        if version.compute_checksum() != version.checksum:
            yield Violation(
                "L4", "version", version.cuid, f"{version} does not match its checksum any more."
            )


def entity_contexts() -> Iterator[Violation]:
    """L5: a live execution's entity has the execution's context."""
    rows = (
        Execution.objects.filter(status__in=LIVE)
        .exclude(entity__context_key=F("context_key"))
        .select_related("entity")
    )
    for row in rows.iterator(CHUNK):
        yield Violation(
            "L5",
            "execution",
            row.cuid,
            f"It has the context {row.context_key}, its entity {row.entity.cuid} has "
            f"{row.entity.context_key}.",
        )


def references() -> Iterator[Violation]:
    """L6: every run_workflow node of a stored version has its reference, and no other is there."""
    stored: dict[int, set[tuple[str, str]]] = {}
    rows = Reference.objects.values_list("version_id", "node_id", "callee__cuid")
    for version_id, node, cuid in rows.iterator(CHUNK):
        stored.setdefault(version_id, set()).add((node, cuid))
    for version in Version.objects.select_related("workflow").iterator(CHUNK):
        drawn = set(calls_in(version.source))
        kept = stored.get(version.pk, set())
        for node, cuid in sorted(drawn - kept):
            detail = f"Node “{node}” of {version} calls {cuid} and has no reference."
            yield Violation("L6", "version", version.cuid, detail)
        for node, cuid in sorted(kept - drawn):
            detail = (
                f"{version} has a reference of node “{node}” to {cuid} that its source has not."
            )
            yield Violation("L6", "version", version.cuid, detail)


def cycles() -> Iterator[Violation]:
    """L7: neither the calls of latest versions nor the pins of one root have a cycle."""
    latest = Version.objects.latest_of_each().values_list("workflow_id", "pk")
    versions = dict(latest)
    callees = _callees_by_version(versions.values())
    calls = {workflow: callees.get(version, set()) for workflow, version in versions.items()}
    on_cycle = _on_a_cycle(calls)
    for cuid, title in Workflow.objects.filter(pk__in=on_cycle).values_list("cuid", "title"):
        yield Violation("L7", "workflow", cuid, f"“{title}” calls itself, through others or not.")
    judged: dict[frozenset[int], bool] = {}
    for root_id, pinned in _versions_by_root().items():
        key = frozenset(pinned.values())
        if key not in judged:
            below = _callees_by_version(pinned.values())
            judged[key] = bool(
                _on_a_cycle({one: below.get(version, set()) for one, version in pinned.items()})
            )
        if judged[key]:
            cuid = Execution.objects.values_list("cuid", flat=True).get(pk=root_id)
            yield Violation("L7", "execution", cuid, "What it has pinned calls itself.")


def _on_a_cycle(calls: Mapping[int, set[int]]) -> set[int]:
    """The nodes that remain when those without callees are taken away, again and again."""
    left = {
        caller: {callee for callee in below if callee in calls} for caller, below in calls.items()
    }
    callers: dict[int, set[int]] = {}
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


def open_steps() -> Iterator[Violation]:
    """L8: an execution is live exactly when a step of it is open, and a step that calls is open
    while its child is live, and after that only as an incident.
    """
    is_open = Step.objects.filter(execution=OuterRef("pk"), state__in=OPEN)
    for row in Execution.objects.filter(~Exists(is_open), status__in=LIVE).iterator(CHUNK):
        yield Violation("L8", "execution", row.cuid, f"It is {row.status}, but no step is open.")
    ended = Execution.objects.exclude(status__in=LIVE).filter(Exists(is_open))
    for row in ended.iterator(CHUNK):
        yield Violation("L8", "execution", row.cuid, f"It is {row.status}, but a step is open.")
    calling = Step.objects.exclude(child=None).select_related("execution", "child")
    closed = calling.exclude(state__in=OPEN).filter(child__status__in=LIVE)
    for step in closed.iterator(CHUNK):
        detail = f"Its step “{step.node_id}” is {step.state}, but the child {step.child} is live."
        yield Violation("L8", "execution", step.execution.cuid, detail)
    waiting = calling.filter(state=StepState.OPEN).exclude(child__status__in=LIVE)
    for step in waiting.iterator(CHUNK):
        status = step.child.status if step.child else ""
        detail = f"Its step “{step.node_id}” waits for the child {step.child}, which is {status}."
        yield Violation("L8", "execution", step.execution.cuid, detail)
    orphans = Execution.objects.filter(status__in=LIVE).exclude(root=None)
    for row in orphans.exclude(root__status__in=LIVE).iterator(CHUNK):
        yield Violation("L8", "execution", row.cuid, "It is live, but its root has ended.")


def opened_seals() -> Iterator[Violation]:
    """No row stands unsealed, and no seal is missing."""
    for row in Unsealed.objects.iterator(CHUNK):
        yield Violation("seal", row.table_name, str(row.row_id), f"It was left unsealed: {row.why}")
    for name in seals.missing(connections[DB]):
        yield Violation("seal", "trigger", name, "The seal is missing; run migrate to restore it.")


def changes_on_hold() -> Iterator[Violation]:
    """A workflow drains exactly while the change that it drains for waits."""
    waiting = PendingChange.State.WAITING
    held = PendingWorkflow.objects.filter(waiting=True).exclude(change__state=waiting)
    let_go = PendingWorkflow.objects.filter(waiting=False, change__state=waiting)
    for row in held.select_related("change"):
        detail = f"“{row.title}” drains for it, but it is {row.change.state}."
        yield Violation("hold", "pending change", row.change.cuid, detail)
    for row in let_go.select_related("change"):
        detail = f"It waits, but “{row.title}” does not drain for it."
        yield Violation("hold", "pending change", row.change.cuid, detail)


def audit_log() -> Iterator[Violation]:
    """The entries of the audit log are numbered without gaps, up to its counter."""
    entries = AuditEntry.objects.aggregate(number=Count("pk"), last=Max("pk"))
    last = entries["last"] or 0
    counted = AuditCounter.objects.values_list("last", flat=True).first() or 0
    if counted != last:
        detail = f"The last entry is {last}, but {counted} have been written."
        yield Violation("audit", "audit entry", str(counted), detail)
    if entries["number"] != last:
        before = Coalesce(Window(Lag("pk"), order_by=F("pk").asc()), 0)
        numbered = AuditEntry.objects.annotate(gap=F("pk") - before - 1).order_by("pk")
        for number, gap in numbered.filter(gap__gt=0).values_list("pk", "gap"):
            detail = f"{gap} before entry {number} {'is' if gap == 1 else 'are'} missing."
            yield Violation("audit", "audit entry", str(number), detail)


LAWS: tuple[Callable[[], Iterator[Violation]], ...] = (
    live_contexts,
    latest_contexts,
    called_contexts,
    checksums,
    entity_contexts,
    references,
    cycles,
    open_steps,
    opened_seals,
    changes_on_hold,
    audit_log,
)


def violations() -> list[Violation]:
    """Every violation of every law, in one stable snapshot."""
    with stable_snapshot():
        return [violation for law in LAWS for violation in law()]
