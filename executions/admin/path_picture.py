"""The picture of an execution: the graph of its version, the way that was gone, where it stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Count
from django.utils.safestring import SafeString

from executions.models import OPEN, Execution, Status, Step, StepState
from workflows.admin.graph_picture import Mark, drawing, picture
from workflows.graph.changes import Way, objects, way

HERE, FAILED, DONE, CANCELLED = "here", "failed", "done", "cancelled"
_WORDS = {
    HERE: "Stands here",
    FAILED: "Failed here",
    DONE: "Was passed",
    CANCELLED: "Was cancelled here",
}
_BY_STATE = {
    StepState.INCIDENT.value: FAILED,
    StepState.OPEN.value: HERE,
    StepState.DONE.value: DONE,
    StepState.CANCELLED.value: CANCELLED,
}
_STRONGEST = (FAILED, HERE, DONE, CANCELLED)


def path(execution: Execution, newest: Iterable[Step], others: dict[str, str]) -> SafeString | None:
    """Draw it. ``newest`` are visits that are told on the page, ``others`` where nodes are told.

    One statement.
    """
    rows = list(
        Step.objects.filter(execution=execution)
        .order_by("node_id")
        .values_list("node_id", "state", "handle")
        .annotate(number=Count("pk"))
    )
    kinds = {
        str(node.get("id")): node.get("type") for node in objects(execution.version.source, "nodes")
    }
    states: dict[str, str] = {}
    visits: dict[str, int] = defaultdict(int)
    left: set[tuple[str, str]] = set()
    for node_id, state, handle, number in rows:
        visits[node_id] += number
        found = _BY_STATE[state]
        if found == DONE and kinds.get(node_id) == "fail" and execution.status == Status.FAILED:
            found = FAILED
        states[node_id] = min(found, states.get(node_id, found), key=_STRONGEST.index)
        if state == StepState.DONE:
            left.add((node_id, handle))
    urls = others | {step.node_id: step_url(step) for step in newest}
    drawn = drawing(
        execution.version.source,
        urls=urls,
        marks={
            node_id: [Mark(f"{number}×", f"Entered {number} times", "visits")]
            for node_id, number in visits.items()
            if number > 1
        },
        states={node_id: (state, _WORDS[state]) for node_id, state in states.items()},
        lines=dict.fromkeys(_taken(execution, left, set(visits)), "taken"),
    )
    return picture(drawn, f"The way of execution {execution.cuid}", "graph")


def _taken(execution: Execution, left: set[tuple[str, str]], visited: set[str]) -> Iterable[Way]:
    """The edges that were gone: what they come from was left by them, what they lead to entered."""
    passed = {node_id for node_id, _ in left}
    for edge in objects(execution.version.source, "edges"):
        source, target, handle = one = way(edge)
        is_left = (source, handle) in left if handle else source in passed
        if is_left and target in visited:
            yield one


def step_url(step: Step) -> str:
    """Where a visit is told on the page: with its form while it is open, in the history after."""
    return f"#step-{step.cuid}" if step.state in OPEN else f"#visit-{step.cuid}"


def lasted(step: Step) -> str:
    """How long a visit took; empty while it is open."""
    if step.closed_at is None:
        return ""
    seconds = (step.closed_at - step.opened_at).total_seconds()
    if seconds < 1:
        return "at once"
    for name, size, below, part in (
        ("d", 86_400, "h", 3_600),
        ("h", 3_600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= size:
            whole, rest = divmod(int(seconds), size)
            return f"{whole} {name} {rest // part} {below}" if rest >= part else f"{whole} {name}"
    return f"{int(seconds)} s"
