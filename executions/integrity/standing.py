"""L8: an execution is live exactly when a step of it is open, and somebody comes back to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, F, OuterRef, Q

from executions.engine.nodes.assignees import asked
from executions.integrity.violation import CHUNK, Violation
from executions.models import LIVE, OPEN, Execution, Job, JobKind, Pin, Step, StepState
from workflows.models import Version

NEEDED: dict[str, tuple[str, ...]] = {
    JobKind.TIMER: ("start", "wait"),
    JobKind.MAIL: ("notify",),
    JobKind.CALL: ("http_request",),
    JobKind.DEADLINE: ("user_action", "approval"),
}
"""The job that an open step with a time has, by the types of nodes."""


def _of(execution: Execution, detail: str) -> Violation:
    return Violation("L8", "execution", execution.cuid, detail, root=execution.root_or_self_id)


def open_steps() -> Iterator[Violation]:
    """L8: an execution is live exactly when a step of it is open."""
    is_open = Step.objects.filter(execution=OuterRef("pk"), state__in=OPEN)
    for row in Execution.objects.filter(~Exists(is_open), status__in=LIVE).iterator(CHUNK):
        yield _of(row, f"It is {row.status}, but no step is open.")
    standing = Step.objects.filter(state__in=OPEN).order_by().values("execution_id")
    ended = Execution.objects.exclude(status__in=LIVE).filter(pk__in=standing)
    for row in ended.iterator(CHUNK):
        yield _of(row, f"It is {row.status}, but a step is open.")
    for row in Execution.objects.filter(status__in=LIVE, ended_at__isnull=False).iterator(CHUNK):
        yield _of(row, f"It is {row.status}, but has ended already.")


def calling_steps() -> Iterator[Violation]:
    """L8: a step that calls is open while its child is live, and after that only as an incident;
    a live child has such a step, and is of its parent's tree.
    """
    calling = Step.objects.exclude(child=None).select_related("execution", "child")
    closed = calling.exclude(state__in=OPEN).filter(child__status__in=LIVE)
    for step in closed.iterator(CHUNK):
        detail = f"Its step “{step.node_id}” is {step.state}, but the child {step.child} is live."
        yield _of(step.execution, detail)
    waiting = calling.filter(state=StepState.OPEN).exclude(child__status__in=LIVE)
    for step in waiting.iterator(CHUNK):
        status = step.child.status if step.child else ""
        detail = f"Its step “{step.node_id}” waits for the child {step.child}, which is {status}."
        yield _of(step.execution, detail)
    children = Execution.objects.filter(status__in=LIVE).exclude(root=None)
    for row in children.exclude(root__status__in=LIVE).iterator(CHUNK):
        yield _of(row, "It is live, but its root has ended.")
    stepping = Step.objects.filter(child=OuterRef("pk"), execution=OuterRef("parent"))
    for row in children.filter(~Exists(stepping)).iterator(CHUNK):
        yield _of(row, "It is live, but no step of its parent calls it.")
    ours = Q(parent__root=F("root")) | Q(parent__root=None, parent=F("root"))
    for row in children.exclude(ours).iterator(CHUNK):
        yield _of(row, "It is not of the tree that its parent is of.")
    for row in children.exclude(entity=F("root__entity")).iterator(CHUNK):
        yield _of(row, "It works on another entity than its root.")
    parted = Execution.objects.filter(status__in=LIVE, root=None).exclude(parent=None)
    for row in parted.iterator(CHUNK):
        yield _of(row, "It was called by another, but is the root of a tree.")


def pinned_children() -> Iterator[Violation]:
    """L3: a live child runs the version that its root has pinned."""
    pin = Pin.objects.filter(
        root=OuterRef("root"), callee=OuterRef("workflow"), version=OuterRef("version")
    )
    children = Execution.objects.filter(status__in=LIVE).exclude(root=None)
    for row in children.filter(~Exists(pin)).select_related("version__workflow").iterator(CHUNK):
        detail = f"It runs {row.version}, which its root has not pinned."
        yield Violation("L3", "execution", row.cuid, detail, root=row.root_or_self_id)


def places() -> Iterator[Violation]:
    """L8: an open step is at a node that its execution's graph has, and asks whom that names."""
    steps = Step.objects.filter(state__in=OPEN, execution__status__in=LIVE).order_by()
    found: dict[int, set[tuple[str, str]]] = {}
    for pk, *place in steps.values_list("execution__version", "node_id", "assignees").distinct():
        found.setdefault(pk, set()).add((place[0], place[1]))
    for version in Version.objects.filter(pk__in=found).iterator(CHUNK):
        known = {node for node, _ in nodes_of(version.source)}
        named = asked_at(version.source)
        for node, assignees in sorted(found[version.pk]):
            if node not in known:
                detail = f"It stands at “{node}”, which the version that it runs has not."
            elif named.get(node, assignees) != assignees:
                detail = f"Its step “{node}” asks others than the version that it runs names."
            else:
                continue
            rows = steps.filter(execution__version=version, node_id=node, assignees=assignees)
            for step in rows.select_related("execution"):
                yield _of(step.execution, detail)


def _nodes(source: Any) -> list[dict[str, Any]]:
    nodes = source.get("nodes") if isinstance(source, dict) else None
    return [node for node in (nodes if isinstance(nodes, list) else ()) if isinstance(node, dict)]


def nodes_of(source: Any) -> set[tuple[str, str]]:
    """The id and the type of every node, however damaged the source."""
    return {(str(node.get("id")), str(node.get("type"))) for node in _nodes(source)}


def asked_at(source: Any) -> dict[str, str]:
    """Who is asked at each node, as ``Step.assignees`` has it; what is damaged is left out."""
    found = {}
    for node in _nodes(source):
        try:
            named = asked(str(node.get("type")), node.get("data", {}))
        except (AttributeError, TypeError, ValueError):
            continue
        found[str(node.get("id"))] = named
    return found


def jobs() -> Iterator[Violation]:
    """L8: somebody comes back to an open step that has a time."""
    for row in without_job().select_related("execution").iterator(CHUNK):
        yield _of(row.execution, f"Its step “{row.node_id}” is due, but nothing comes back to it.")


def without_job(**where: Any) -> Any:
    """The open steps of live executions that have a time, or need one, and lack the job for it."""
    lacks = Q(type="start", due_at=None)
    for kind, types in NEEDED.items():
        job = Job.objects.filter(step=OuterRef("pk"), kind=kind)
        lacks |= Q(~Exists(job), type__in=types, due_at__isnull=False, overdue=False)
    steps = Step.objects.filter(state=StepState.OPEN, execution__status__in=LIVE, **where)
    return steps.filter(lacks).order_by("pk")
