"""The diagram of an execution: the graph of its version with its path and current steps."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.admin.titles import execution_title
from executions.models import (
    FOR_EACH,
    ITEMS,
    OPEN,
    Execution,
    Status,
    Step,
    StepState,
    Visits,
    count_visits,
)
from executions.models.visits import VisitKey
from workflows.admin.graph_diagram import Mark, build_diagram, render_diagram
from workflows.graph.comparison import EdgeKey, edge_key, list_objects
from workflows.models import Version

HERE, FAILED, DONE, CANCELLED = "here", "failed", "done", "cancelled"
_STATE_LABELS = {
    HERE: _("Current step"),
    FAILED: _("Failed"),
    DONE: _("Done"),
    CANCELLED: _("Cancelled"),
}
_BY_STATE = {
    StepState.INCIDENT.value: FAILED,
    StepState.OPEN.value: HERE,
    StepState.DONE.value: DONE,
    StepState.CANCELLED.value: CANCELLED,
}
_PRECEDENCE = (FAILED, HERE, DONE, CANCELLED)


def path_diagram(
    execution: Execution,
    newest: Iterable[Step],
    node_urls: dict[str, str],
    *,
    is_moved: bool = False,
) -> SafeString | None:
    """Return the diagram of an execution on its present version. Runs a few queries.

    Args:
        newest: the steps that the history on the page lists.
        node_urls: the URLs of the other nodes, by node id.
        is_moved: True if it has run other versions before.
    """
    title = gettext("Path of %(execution)s") % {"execution": execution_title(execution)}
    urls = node_urls | {step.node_id: step_url(step) for step in newest}
    if is_moved:
        counts = _count_by_version(execution)[execution.version_id]
    else:
        counts = count_visits(execution)
    return _diagram(execution, execution.version, counts, urls, title, "graph")


def earlier_paths(execution: Execution) -> list[tuple[int, SafeString | None]]:
    """Return the number and the diagram of each version that the execution ran before a move."""
    ids = execution.moves.values_list("from_version", flat=True)
    versions = list(Version.objects.filter(pk__in=ids).order_by("number"))
    if not versions:
        return []
    counts = _count_by_version(execution)
    found = []
    for version in versions:
        if version.pk == execution.version_id:
            continue
        title = gettext("Path on version %(number)s") % {"number": version.number}
        key = f"graph-of-{version.number}"
        diagram = _diagram(execution, version, counts[version.pk], {}, title, key)
        found.append((version.number, diagram))
    return found


def _count_by_version(execution: Execution) -> dict[int, Counter[VisitKey]]:
    """Count the visits of a moved execution by the id of the version that it ran."""
    found: dict[int, Counter[VisitKey]] = defaultdict(Counter)
    for step in Visits(execution):
        version = step.ran_on[0] if step.ran_on else execution.version_id
        found[version][VisitKey(step.node_id, step.type, step.state, step.handle)] += 1
    return found


def _diagram(
    execution: Execution,
    version: Version,
    counts: Counter[VisitKey],
    urls: dict[str, str],
    title: str,
    key: str,
) -> SafeString | None:
    """Return the diagram of a version with the visits of an execution."""
    source = version.source_with_positions
    types = {str(node.get("id")): node.get("type") for node in list_objects(source, "nodes")}
    states: dict[str, str] = {}
    visits: dict[str, int] = defaultdict(int)
    exits: set[tuple[str, str]] = set()
    for (node_id, _type, state, handle), number in sorted(counts.items()):
        visits[node_id] += number
        found = _BY_STATE[state]
        if found == DONE and types.get(node_id) == "fail" and execution.status == Status.FAILED:
            found = FAILED
        states[node_id] = min(found, states.get(node_id, found), key=_PRECEDENCE.index)
        if state == StepState.DONE:
            exits.add((node_id, handle))
    diagram = build_diagram(
        source,
        urls=urls,
        marks=_marks(execution, version, visits),
        states={node_id: (state, str(_STATE_LABELS[state])) for node_id, state in states.items()},
        lines=dict.fromkeys(_taken_edges(source, exits, set(visits)), "taken"),
        current=_current_node(states),
    )
    return render_diagram(diagram, title, key)


def _current_node(states: Mapping[str, str]) -> str | None:
    """Return the first failed node, or else the first current one."""
    places = sorted((_PRECEDENCE.index(state), node) for node, state in states.items())
    return next((node for place, node in places if place < _PRECEDENCE.index(DONE)), None)


def _marks(
    execution: Execution, version: Version, visits: Mapping[str, int]
) -> dict[str, list[Mark]]:
    """Return the marks of nodes: completed items of an open call, else the number of visits."""
    found = {node: [_visits_mark(number)] for node, number in visits.items() if number > 1}
    # The open calls are on the present version.
    nodes = list_objects(version.source, "nodes") if version == execution.version else []
    if any(FOR_EACH in (node.get("data") or {}) for node in nodes):
        calls = Step.objects.open().filter(execution=execution, input__has_key=ITEMS)
        counts: Any
        for node, counts in calls.values_list("node_id", "input"):
            found[node] = [_items_mark(counts["completed"], counts[ITEMS])]
    return found


def _items_mark(completed: int, number: int) -> Mark:
    values = {"completed": completed, "number": number}
    text = gettext("%(completed)s of %(number)s items have completed") % values
    return Mark(f"{completed}/{number}", text, "visits")


def _visits_mark(number: int) -> Mark:
    text = gettext("Entered %(number)s times") % {"number": number}
    return Mark(f"{number}×", text, "visits")


def _taken_edges(source: Any, exits: set[tuple[str, str]], visited: set[str]) -> Iterator[EdgeKey]:
    """Yield the edges on the path: their source was left by their exit, their target entered."""
    closed = {node_id for node_id, _exit in exits}
    for edge in list_objects(source, "edges"):
        left, target, handle = key = edge_key(edge)
        is_taken = (left, handle) in exits if handle else left in closed
        if is_taken and target in visited:
            yield key


def step_url(step: Step) -> str:
    """Return the anchor of a step: the current steps if it is open, else the history."""
    return f"#step-{step.cuid}" if step.state in OPEN else f"#visit-{step.cuid}"


def duration_text(step: Step) -> str:
    """Return the duration of a closed step, or an empty string for an open one."""
    if step.closed_at is None:
        return ""
    return seconds_text((step.closed_at - step.opened_at).total_seconds())


def seconds_text(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    if seconds < 1:
        return gettext("less than 1 s")
    for name, size, below, part in (
        ("d", 86_400, "h", 3_600),
        ("h", 3_600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= size:
            whole, rest = divmod(int(seconds), size)
            return f"{whole} {name} {rest // part} {below}" if rest >= part else f"{whole} {name}"
    return f"{int(seconds)} s"
