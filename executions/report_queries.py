"""Numbers for reports: executions by status and age, time in steps, overdue steps, deadlines.

Each function takes a bounded number of statements, and each statement reads a bounded number of
rows by an index. ``has_more`` says that there are more rows than the report counts. Percentiles are
computed here, because the databases have no common function for them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.db.models import Case, Count, IntegerField, QuerySet, Value, When

from executions.models import Execution, Step, StepState
from workflows.models import Candidate

COUNTED = 5_000
"""The largest number of rows that each table counts."""
MEASURED = 1_000
"""The number of executions, the newest, whose steps a report measures."""
ASSIGNED = 500
"""The number of assignments, the most frequent, that the report of overdue steps names."""
AGES = (1, 7, 30, 90)
"""The limits of the groups by age, in days."""


@dataclass(slots=True)
class WorkflowCounts:
    """The executions of a workflow by status, and its live ones by age group."""

    workflow: int
    statuses: Counter[str] = field(default_factory=Counter)
    ages: Counter[int] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Return the number of executions."""
        return self.statuses.total()


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts by workflow, the most frequent first."""

    rows: Sequence[WorkflowCounts]
    has_more: bool


@dataclass(frozen=True, slots=True)
class StepTimes:
    """The time that a step took from its opening to its end, in seconds."""

    workflow: int
    node_id: str
    label: str
    number: int
    median: float
    ninetieth: float


@dataclass(slots=True)
class Deadlines:
    """The closed steps of a workflow that had a deadline."""

    workflow: int
    met: int = 0
    missed: int = 0

    @property
    def total(self) -> int:
        """Return the number of steps with a deadline."""
        return self.met + self.missed

    @property
    def percent(self) -> int:
        """Return the share of deadlines that were met, rounded down, so that 100 means all."""
        return 100 * self.met // self.total if self.total else 0


@dataclass(frozen=True, slots=True)
class Measured:
    """The times and deadlines of the steps of the newest executions."""

    steps: Sequence[StepTimes]
    deadlines: Sequence[Deadlines]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Overdue:
    """The overdue steps of each group or user; the empty name means everybody."""

    rows: Sequence[tuple[str, int]]
    has_more: bool


def count_executions(since: datetime, now: datetime, workflow: int | None = None) -> Counts:
    """Count the executions that have started in a period, the newest first. One statement."""
    started = Execution.objects.filter(started_at__gte=since)
    newest = started.order_by("-started_at", "-pk")
    if workflow is not None:
        # In the order of the index by workflow. Rows that were imported may be out of order.
        newest = Execution.objects.filter(workflow=workflow).order_by("-pk")
    rows = _grouped(newest, now, since)
    return _by_workflow(rows)


def count_live_executions(now: datetime, workflow: int | None = None) -> Counts:
    """Count the live executions, in the order of the index on them. One statement."""
    live = Execution.objects.live()
    live = (
        live.order_by("workflow_id", "pk") if workflow is None else live.filter(workflow=workflow)
    )
    return _by_workflow(_grouped(live, now, None))


def _grouped(
    executions: QuerySet[Any], now: datetime, since: datetime | None
) -> Iterable[tuple[int, str, bool, int, int]]:
    """Return the numbers by workflow, status, whether live, and age group."""
    ages = [
        When(started_at__gt=now - timedelta(days=days), then=Value(place))
        for place, days in enumerate(AGES)
    ]
    chosen = executions.values("pk")[: COUNTED + 1]
    counted = Execution.objects.filter(pk__in=chosen)
    if since is not None:
        counted = counted.filter(started_at__gte=since)
    group = Case(*ages, default=Value(len(AGES)), output_field=IntegerField())
    columns = ("workflow", "status", "live", "age")
    rows = counted.order_by().annotate(age=group).values_list(*columns)
    return list(rows.annotate(number=Count("pk")))


def _by_workflow(rows: Iterable[tuple[int, str, bool, int, int]]) -> Counts:
    found: dict[int, WorkflowCounts] = {}
    for workflow, status, is_live, age, number in rows:
        one = found.setdefault(workflow, WorkflowCounts(workflow))
        one.statuses[status] += number
        if is_live:
            one.ages[age] += number
    total = sum(one.total for one in found.values())
    ordered = sorted(found.values(), key=lambda one: (-one.total, one.workflow))
    return Counts(ordered, total > COUNTED)


def measure_steps(since: datetime, workflow: int | None = None) -> Measured:
    """Measure the steps of the newest executions that were done in a period. One statement."""
    executions = Execution.objects.order_by("-pk")
    if workflow is not None:
        executions = executions.filter(workflow=workflow)
    newest = executions.values("pk")[:MEASURED]
    steps = Step.objects.filter(
        execution__in=newest, state=StepState.DONE, closed_at__gte=since
    ).order_by()
    columns = (
        *("execution__workflow", "node_id", "label"),
        *("opened_at", "closed_at", "due_at"),
    )
    rows = list(steps.values_list(*columns)[: COUNTED + 1])
    times: dict[tuple[int, str], list[float]] = defaultdict(list)
    labels: dict[tuple[int, str], str] = {}
    deadlines: dict[int, Deadlines] = {}
    for key, node_id, label, opened_at, closed_at, due_at in rows[:COUNTED]:
        times[key, node_id].append(max(0.0, (closed_at - opened_at).total_seconds()))
        labels[key, node_id] = label or node_id
        if due_at is not None:
            one = deadlines.setdefault(key, Deadlines(key))
            if closed_at <= due_at:
                one.met += 1
            else:
                one.missed += 1
    measured = [
        StepTimes(
            key,
            node_id,
            labels[key, node_id],
            len(seconds),
            percentile(seconds, 50),
            percentile(seconds, 90),
        )
        for (key, node_id), seconds in times.items()
    ]
    return Measured(
        sorted(measured, key=lambda one: (-one.median, one.workflow, one.node_id)),
        sorted(deadlines.values(), key=lambda one: (one.percent, -one.total, one.workflow)),
        len(rows) > COUNTED,
    )


def percentile(values: Iterable[float], percent: int) -> float:
    """Return the smallest value that is at least as large as this share of all (nearest rank).

    Args:
        values: at least one.
        percent: more than 0, at most 100.
    """
    ordered = sorted(values)
    return ordered[ceil(len(ordered) * percent / 100) - 1]


def count_overdue(workflow: int | None = None) -> Overdue:
    """Count the overdue steps by the groups and users that they are assigned to. Two statements.

    A step of several groups counts for each of them.
    """
    overdue = Step.objects.overdue().order_by("execution_id", "pk")
    if workflow is not None:
        live = Execution.objects.live().filter(workflow=workflow).order_by("workflow_id", "pk")
        some = live.values("pk")[:COUNTED]
        # An order by id would have PostgreSQL read all steps in this order.
        overdue = Step.objects.overdue().filter(execution__in=some).order_by()
    chosen = overdue.values("pk")[: COUNTED + 1]
    rows = Step.objects.filter(pk__in=chosen).order_by().values_list("assignees")
    numbers = dict(rows.annotate(number=Count("pk")))
    frequent = dict(Counter(numbers).most_common(ASSIGNED))
    names: dict[str, set[str]] = defaultdict(set)
    candidates = Candidate.objects.filter(key__in=frequent).select_related("group", "user")
    for candidate in candidates:
        names[candidate.key].add(candidate.current_name)
    found: Counter[str] = Counter()
    for key, number in frequent.items():
        # A step whose candidates are deleted counts for everybody who operates it.
        for name in names.get(key) or {""}:
            found[name] += number
    return Overdue(found.most_common(), sum(numbers.values()) > COUNTED)
