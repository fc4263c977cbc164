"""L8: an execution is live exactly when a step of it is open, and somebody comes back to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from executions.integrity.row_queries import read_rows
from executions.integrity.violation import CHUNK, Violation
from executions.models import LIVE, OPEN, Execution, Job, JobKind, Pin, Step, StepState
from workflows.models import Candidate, Version
from workflows.models.candidate import named_in, node_key, step_key

NEEDED: dict[str, tuple[str, ...]] = {
    JobKind.TIMER: ("start", "wait"),
    JobKind.MAIL: ("notify",),
    JobKind.CALL: ("http_request",),
    JobKind.DEADLINE: ("user_action", "approval", "webhook"),
}
"""The job that an open step with a time has, by the types of nodes."""


def _of(execution: Execution, detail: str) -> Violation:
    return Violation("L8", "execution", execution.cuid, detail, root=execution.root_or_self_id)


def _live() -> QuerySet[Execution]:
    return Execution.objects.filter(status__in=LIVE)


def _live_without_open_step() -> QuerySet[Execution]:
    is_open = Step.objects.filter(execution=OuterRef("pk"), state__in=OPEN)
    return _live().filter(~Exists(is_open))


def _ended_with_open_step() -> QuerySet[Execution]:
    open_steps = Step.objects.filter(state__in=OPEN).order_by()
    ended = Execution.objects.exclude(status__in=LIVE)
    return ended.filter(pk__in=open_steps.values("execution_id"))


def _live_with_end() -> QuerySet[Execution]:
    return _live().filter(ended_at__isnull=False)


def open_steps() -> Iterator[Violation]:
    """L8: an execution is live exactly when a step of it is open."""
    live, ended, live_with_end = read_rows(
        _live_without_open_step, _ended_with_open_step, _live_with_end
    )
    for row in live:
        yield _of(row, f"It is {row.status}, but no step is open.")
    for row in ended:
        yield _of(row, f"It is {row.status}, but a step is open.")
    for row in live_with_end:
        yield _of(row, f"It is {row.status}, but has ended already.")


def _calling_steps() -> QuerySet[Step]:
    return Step.objects.exclude(child=None).select_related("execution", "child")


def _closed_with_live_child() -> QuerySet[Step]:
    return _calling_steps().exclude(state__in=OPEN).filter(child__status__in=LIVE)


def _open_with_ended_child() -> QuerySet[Step]:
    return _calling_steps().filter(state=StepState.OPEN).exclude(child__status__in=LIVE)


def _live_children() -> QuerySet[Execution]:
    return _live().exclude(root=None)


def _children_of_ended_root() -> QuerySet[Execution]:
    return _live_children().exclude(root__status__in=LIVE)


def _children_without_step() -> QuerySet[Execution]:
    calling = Step.objects.filter(child=OuterRef("pk"), execution=OuterRef("parent"))
    return _live_children().filter(~Exists(calling))


def _children_of_other_tree() -> QuerySet[Execution]:
    same_tree = Q(parent__root=F("root")) | Q(parent__root=None, parent=F("root"))
    return _live_children().exclude(same_tree)


def _children_with_other_entity() -> QuerySet[Execution]:
    return _live_children().exclude(entity=F("root__entity"))


def _roots_with_parent() -> QuerySet[Execution]:
    return _live().filter(root=None).exclude(parent=None)


def calling_steps() -> Iterator[Violation]:
    """L8: a step that calls is open while its child is live, and after that only as an incident;
    a live child has such a step, and is of its parent's tree.
    """
    closed, waiting, rootless, uncalled, strays, others, roots = read_rows(
        _closed_with_live_child,
        _open_with_ended_child,
        _children_of_ended_root,
        _children_without_step,
        _children_of_other_tree,
        _children_with_other_entity,
        _roots_with_parent,
    )
    for step in closed:
        detail = f"Its step “{step.node_id}” is {step.state}, but the child {step.child} is live."
        yield _of(step.execution, detail)
    for step in waiting:
        status = step.child.status if step.child else ""
        detail = f"Its step “{step.node_id}” waits for the child {step.child}, which is {status}."
        yield _of(step.execution, detail)
    for row in rootless:
        yield _of(row, "It is live, but its root has ended.")
    for row in uncalled:
        yield _of(row, "It is live, but no step of its parent calls it.")
    for row in strays:
        yield _of(row, "It is not of the tree that its parent is of.")
    for row in others:
        yield _of(row, "It works on another entity than its root.")
    for row in roots:
        yield _of(row, "It was called by another, but is the root of a tree.")


def _children_without_pin() -> QuerySet[Execution]:
    pin = Pin.objects.filter(
        root=OuterRef("root"), callee=OuterRef("workflow"), version=OuterRef("version")
    )
    return _live_children().filter(~Exists(pin)).select_related("version__workflow")


def pinned_children() -> Iterator[Violation]:
    """L3: a live child runs the version that its root has pinned."""
    (rows,) = read_rows(_children_without_pin)
    for row in rows:
        detail = f"It runs {row.version}, which its root has not pinned."
        yield Violation("L3", "execution", row.cuid, detail, root=row.root_or_self_id)


def places() -> Iterator[Violation]:
    """L8: an open step is at a node that its execution's graph has, and asks whom that names."""
    steps = Step.objects.filter(state__in=OPEN, execution__status__in=LIVE).order_by()
    found: dict[int, set[tuple[str, str]]] = {}
    for pk, *place in steps.values_list("execution__version", "node_id", "assignees").distinct():
        found.setdefault(pk, set()).add((place[0], place[1]))
    if not found:
        return
    for version in Version.objects.filter(pk__in=found).iterator(CHUNK):
        known = {node for node, _ in nodes_of(version.source)}
        named = keys_at(version.pk, version.source)
        for node, assignees in sorted(found[version.pk]):
            if node not in known:
                detail = f"It stands at “{node}”, which the version that it runs has not."
            elif named.get(node, assignees) != assignees:
                detail = f"Its step “{node}” asks others than the version that it runs names."
            else:
                continue
            rows = steps.filter(execution__version=version, node_id=node, assignees=assignees)
            for step in rows.select_related("execution"):
                if node not in known or not asks_its_own(step):
                    yield _of(step.execution, detail)


def _nodes(source: Any) -> list[dict[str, Any]]:
    nodes = source.get("nodes") if isinstance(source, dict) else None
    return [node for node in (nodes if isinstance(nodes, list) else ()) if isinstance(node, dict)]


def nodes_of(source: Any) -> set[tuple[str, str]]:
    """The id and the type of every node, however damaged the source."""
    return {(str(node.get("id")), str(node.get("type"))) for node in _nodes(source)}


def keys_at(version_id: int, source: Any) -> dict[str, str]:
    """The key of the candidates of each node, as ``Step.assignees`` has it."""
    asking = {one.node_id for one in named_in(source)}
    nodes = (str(node.get("id")) for node in _nodes(source))
    return {node: node_key(version_id, node) if node in asking else "" for node in nodes}


def asks_its_own(step: Step) -> bool:
    """Whether a step was reassigned, to candidates that are there."""
    key = step_key(step.cuid)
    return step.assignees == key and Candidate.objects.filter(key=key).exists()


def _steps_without_job() -> QuerySet[Step]:
    rows: QuerySet[Step] = without_job().select_related("execution")
    return rows


def jobs() -> Iterator[Violation]:
    """L8: somebody comes back to an open step that has a time."""
    (rows,) = read_rows(_steps_without_job)
    for row in rows:
        yield _of(row.execution, f"Its step “{row.node_id}” is due, but nothing comes back to it.")


def without_job(**where: Any) -> Any:
    """The open steps of live executions that have a time, or need one, and lack the job for it."""
    lacks = Q(type="start", due_at=None)
    for kind, types in NEEDED.items():
        job = Job.objects.filter(step=OuterRef("pk"), kind=kind)
        lacks |= Q(~Exists(job), type__in=types, due_at__isnull=False, overdue=False)
    steps = Step.objects.filter(state=StepState.OPEN, execution__status__in=LIVE, **where)
    return steps.filter(lacks).order_by("pk")
