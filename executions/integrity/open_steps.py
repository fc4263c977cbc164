"""I8: an execution is live exactly when it has an open step; open steps with a time have a job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform

from executions.integrity.row_queries import read_rows
from executions.integrity.violation import CHUNK, Violation
from executions.models import FOR_EACH, ITEMS, LIVE, OPEN, Execution, Job, JobKind, Step, StepState
from workflows.graph import RUN_WORKFLOW
from workflows.graph.comparison import list_objects
from workflows.models import Candidate, Version
from workflows.models.candidate import DEADLINE, find_assignee_names, node_key, step_key

NEEDED: dict[str, tuple[str, ...]] = {
    JobKind.TIMER: ("start", "wait"),
    JobKind.MAIL: ("notify",),
    JobKind.CALL: ("http_request",),
    JobKind.DEADLINE: ("user_action", "approval", "webhook", "run_workflow"),
}
"""The node types whose open steps need a job when they have a time, by type of job."""


def _violation(execution: Execution, detail: str) -> Violation:
    return Violation("I8", "execution", execution.cuid, detail, root=execution.root_or_self_id)


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


def check_open_steps() -> Iterator[Violation]:
    """Yield live executions without an open step or with an end, and ended ones with an open
    step (I8).
    """
    live, ended, live_with_end = read_rows(
        _live_without_open_step, _ended_with_open_step, _live_with_end
    )
    for row in live:
        yield _violation(row, f"It is {row.status}, but has no open step.")
    for row in ended:
        yield _violation(row, f"It is {row.status}, but has an open step.")
    for row in live_with_end:
        yield _violation(row, f"It is {row.status}, but has a time of its end.")


def _calling_steps() -> QuerySet[Step]:
    return Step.objects.exclude(child=None).select_related("execution", "child")


def _closed_with_live_child() -> QuerySet[Step]:
    return _calling_steps().exclude(state__in=OPEN).filter(child__status__in=LIVE)


def _open_with_ended_child() -> QuerySet[Step]:
    return _calling_steps().filter(state=StepState.OPEN).exclude(child__status__in=LIVE)


def calls_without_items(**where: Any) -> QuerySet[Step]:
    """Return the open calls with ``for_each`` that have no open step of an item.

    ``where`` are lookups that select the steps.
    """
    items = Step.objects.filter(execution=OuterRef("execution"), state__in=OPEN)
    items = items.annotate(call=KeyTextTransform(FOR_EACH, "input")).filter(call=OuterRef("cuid"))
    calls = Step.objects.filter(type=RUN_WORKFLOW, state=StepState.OPEN, input__has_key=ITEMS)
    calls = calls.filter(~Exists(items), execution__status__in=LIVE, **where)
    return calls.select_related("execution")


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


def check_calling_steps() -> Iterator[Violation]:
    """Yield calling steps that are closed while their child is live, or wait for an ended child
    or for items of which none is open, and live children without a calling step or outside the
    tree of their parent (I8).
    """
    closed, waiting, idle, rootless, uncalled, detached, other_entity, roots = read_rows(
        _closed_with_live_child,
        _open_with_ended_child,
        calls_without_items,
        _children_of_ended_root,
        _children_without_step,
        _children_of_other_tree,
        _children_with_other_entity,
        _roots_with_parent,
    )
    for step in closed:
        detail = f"Its step “{step.node_id}” is {step.state}, but the child {step.child} is live."
        yield _violation(step.execution, detail)
    for step in waiting:
        status = step.child.status if step.child else ""
        detail = f"Its step “{step.node_id}” waits for the child {step.child}, which is {status}."
        yield _violation(step.execution, detail)
    for step in idle:
        detail = f"Its step “{step.node_id}” waits for its items, but none is open."
        yield _violation(step.execution, detail)
    for row in rootless:
        yield _violation(row, "It is live, but its root has ended.")
    for row in uncalled:
        yield _violation(row, "It is live, but no step of its parent calls it.")
    for row in detached:
        yield _violation(row, "Its root is another one than the root of its parent.")
    for row in other_entity:
        yield _violation(row, "Its entity is another one than the entity of its root.")
    for row in roots:
        yield _violation(row, "It has a parent, but no root.")


def check_step_nodes() -> Iterator[Violation]:
    """Yield open steps at a node that the graph lacks, or with other assignees than the node
    names (I8).
    """
    steps = Step.objects.filter(state__in=OPEN, execution__status__in=LIVE).order_by()
    found: dict[int, set[tuple[str, str]]] = {}
    for pk, *pair in steps.values_list("execution__version", "node_id", "assignees").distinct():
        found.setdefault(pk, set()).add((pair[0], pair[1]))
    if not found:
        return
    for version in Version.objects.filter(pk__in=found).iterator(CHUNK):
        known = {node for node, _ in nodes_in(version.source)}
        named = candidate_keys(version.pk, version.source)
        for node, assignees in sorted(found[version.pk]):
            if node not in known:
                detail = f"It has an open step at “{node}”, but its version has no such node."
            elif named.get(node, assignees) != assignees:
                detail = f"Its step “{node}” has other assignees than its version names."
            else:
                continue
            rows = steps.filter(execution__version=version, node_id=node, assignees=assignees)
            for step in rows.select_related("execution"):
                if node not in known or not has_own_candidates(step):
                    yield _violation(step.execution, detail)


def nodes_in(source: Any) -> set[tuple[str, str]]:
    """Return the id and the type of every node. The source may be damaged."""
    return {(str(node.get("id")), str(node.get("type"))) for node in list_objects(source, "nodes")}


def candidate_keys(version_id: int, source: Any) -> dict[str, str]:
    """Return the candidate key of each node (see ``Step.assignees``), blank without candidates."""
    asking = {one.node_id for one in find_assignee_names(source) if not one.escalates}
    nodes = (str(node.get("id")) for node in list_objects(source, "nodes"))
    return {node: node_key(version_id, node) if node in asking else "" for node in nodes}


def has_own_candidates(step: Step) -> bool:
    """Return True if the step was reassigned and its own candidates exist."""
    key = step_key(step.cuid)
    return step.assignees == key and Candidate.objects.filter(key=key).exists()


def _rows_without_job() -> QuerySet[Step]:
    rows: QuerySet[Step] = steps_without_job().select_related("execution")
    return rows


def check_jobs() -> Iterator[Violation]:
    """Yield open steps that have a time, but no job (I8)."""
    rows, calls = read_rows(_rows_without_job, _calls_without_deadline)
    for row in rows:
        yield _violation(row.execution, f"Its step “{row.node_id}” has a due time, but no job.")
    for row in with_deadline(calls):
        detail = f"Its step “{row.node_id}” has no job for its deadline."
        yield _violation(row.execution, detail)


def _calls_without_deadline() -> QuerySet[Step]:
    return calls_without_deadline().select_related("execution__version")


def calls_without_deadline(**where: Any) -> QuerySet[Step]:
    """Return the open HTTP requests without a job for a deadline, which few nodes have.

    All have a time: that of the call, or the deadline.
    """
    job = Job.objects.filter(step=OuterRef("pk"), kind=JobKind.DEADLINE)
    steps = Step.objects.filter(state=StepState.OPEN, type="http_request", overdue=False, **where)
    return steps.filter(~Exists(job), execution__status__in=LIVE).order_by("pk")


def with_deadline(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield the steps whose nodes have a deadline."""
    for step in steps:
        nodes = list_objects(step.execution.version.source, "nodes")
        data = next((node.get("data") for node in nodes if node.get("id") == step.node_id), None)
        if isinstance(data, dict) and data.get(DEADLINE) is not None:
            yield step


def steps_without_job(**where: Any) -> Any:
    """Return the open steps of live executions that need a time or a job and lack it.

    ``where`` are lookups that select the steps.
    """
    lacks_job = Q(type="start", due_at=None)
    for kind, types in NEEDED.items():
        job = Job.objects.filter(step=OuterRef("pk"), kind=kind)
        missing = Q(~Exists(job), type__in=types, due_at__isnull=False)
        # A call goes on after its deadline.
        lacks_job |= missing & Q(overdue=False) if kind == JobKind.DEADLINE else missing
    steps = Step.objects.filter(state=StepState.OPEN, execution__status__in=LIVE, **where)
    return steps.filter(lacks_job).order_by("pk")
