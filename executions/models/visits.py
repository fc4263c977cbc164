"""All visits of an execution to nodes, in order: stored steps and passed nodes.

A step has a row while it waits, and afterwards. Nodes that an execution passes without waiting
are entries of a list that is written once, with what led to them: ``Execution.passed`` holds the
nodes from the start to the first wait, ``Step.passed`` those that followed the end of a step. This
module is the only one that knows the form of an entry.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, overload

from django.db.models import Func, IntegerField, QuerySet
from django.db.models.functions import Coalesce
from django.utils.dateparse import parse_datetime

from executions.models.execution import Execution
from executions.models.move import Move
from executions.models.step import Step, StepState
from workflows.graph import START

Entry = dict[str, Any]
VARIABLES = "variables"
"""The key of the input of a start step: the variables that the execution starts with."""
CHUNK = 500

_VALUES = ("label", "handle", "input", "output")
"""The attributes that an entry has if they are not blank."""


def passed_entry(step: Step, at: datetime | None, child: str | None = None) -> Entry:
    """Return a closed step as an entry of a list of passed nodes.

    Args:
        at: the time at which the nodes of the list were passed.
        child: the cuid of the execution that the step called.
    """
    entry: Entry = {"step": step.cuid, "node": step.node_id, "type": step.type}
    for name in _VALUES:
        value = getattr(step, name)
        if value is not None and value != "":
            entry[name] = value
    if child is not None:
        entry["child"] = child
    if step.state != StepState.DONE:
        entry["state"] = step.state
    if step.opened_at != at or step.closed_at != at:
        entry["opened_at"] = step.opened_at.isoformat()
        entry["closed_at"] = step.closed_at.isoformat() if step.closed_at else None
    return entry


def passed_step(entry: Entry, execution_id: int, at: datetime) -> Step:
    """Return an entry as a step without an id."""
    values = {name: entry[name] for name in _VALUES if name in entry}
    step = Step(
        cuid=entry["step"],
        execution_id=execution_id,
        node_id=entry["node"],
        type=entry["type"],
        state=entry.get("state", StepState.DONE.value),
        opened_at=_moment(entry.get("opened_at")) or at,
        closed_at=_moment(entry.get("closed_at")) or at,
        **values,
    )
    step.passed_child = entry.get("child", "")
    return step


def _moment(text: str | None) -> datetime | None:
    return parse_datetime(text) if text else None


class VisitKey(NamedTuple):
    """The attributes by which visits are counted."""

    node_id: str
    type: str
    state: str
    handle: str


def count_visits(execution: Execution) -> Counter[VisitKey]:
    """Return the number of visits of an execution by node, type, state and exit."""
    found: Counter[VisitKey] = Counter()
    found.update(_entry_keys(_passed_at_start(execution)))
    rows = Step.objects.filter(execution=execution).order_by()
    for *key, passed in rows.values_list(*VisitKey._fields, "passed").iterator(CHUNK):
        found[VisitKey(*key)] += 1
        found.update(_entry_keys(passed))
    return found


def _entry_keys(passed: list[Entry] | None) -> Iterator[VisitKey]:
    for entry in passed or ():
        state = entry.get("state", StepState.DONE.value)
        yield VisitKey(entry["node"], entry["type"], state, entry.get("handle", ""))


def start_variables(execution: Execution) -> dict[str, Any]:
    """Return the variables that an execution has started with."""
    passed = _passed_at_start(execution)
    # A scheduled execution has waited at its start.
    rows = Step.objects.filter(execution=execution, type=START).values_list("input", flat=True)
    found = passed[0].get("input") if passed else rows.first()
    return found.get(VARIABLES, {}) if isinstance(found, dict) else {}


def _passed_at_start(execution: Execution) -> list[Entry]:
    rows = Execution.objects.filter(pk=execution.pk).values_list("passed", flat=True)
    return rows.first() or []


def read_children(steps: Iterable[Step]) -> None:
    """Read the executions that passed nodes have called, with their workflows, in one query."""
    calling = {step.passed_child: step for step in steps if step.passed_child}
    if calling:
        rows = Execution.objects.filter(cuid__in=calling).select_related("workflow")
        for child in rows.defer("passed"):
            calling[child.cuid].child = child


class _Length(Func):
    """The number of elements of a JSON array; NULL for NULL."""

    arity = 1
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSON_ARRAY_LENGTH", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSONB_ARRAY_LENGTH", **context)


@dataclass(frozen=True, slots=True)
class _Part:
    """A step (``is_row``), or the nodes passed after it; ``pk`` is None for the start."""

    pk: int | None
    length: int
    is_row: bool


class _Own(NamedTuple):
    """The columns of an execution that its visits need."""

    passed: list[Entry]
    started_at: datetime
    version: int
    version_number: int


class Visits(Sequence[Step]):
    """The visits of one execution in order, as steps; passed nodes have no id.

    The length takes two queries and a slice three more, however long the list is. Visits are only
    ever added at the end. Each visit has its version in ``ran_on``: that before a move of the
    execution, or the present one.
    """

    def __init__(self, execution: Execution) -> None:
        self.execution = execution

    def __len__(self) -> int:
        return sum(part.length for part in self._parts)

    @overload
    def __getitem__(self, place: int) -> Step: ...
    @overload
    def __getitem__(self, place: slice) -> list[Step]: ...
    def __getitem__(self, place: int | slice) -> Step | list[Step]:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            return self._read(start, stop)[::step]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        place %= len(self)
        return self._read(place, place + 1)[0]

    def __iter__(self) -> Iterator[Step]:
        for start in range(0, len(self), CHUNK):
            yield from self._read(start, start + CHUNK)

    @cached_property
    def _parts(self) -> list[_Part]:
        """The steps and the lists of passed nodes in order.

        Passed nodes follow the step that led to them, and everything opened before it was closed.
        """
        length = Coalesce(_Length("passed"), 0)
        rows = Step.objects.filter(execution=self.execution).order_by("pk")
        steps = list(rows.values_list("pk", "opened_at", "closed_at", length))
        opened: list[datetime] = []
        places: list[tuple[int, int, int, _Part]] = []
        for number, (pk, opened_at, _closed_at, _length) in enumerate(steps):
            # An imported step may be opened before the step that precedes it.
            opened.append(max(opened_at, opened[-1]) if opened else opened_at)
            places.append((number, 0, pk, _Part(pk, 1, is_row=True)))
        for number, (pk, _opened_at, closed_at, size) in enumerate(steps):
            if size:
                before = bisect_left(opened, closed_at) - 1 if closed_at else number
                places.append((max(number, before), 1, pk, _Part(pk, size, is_row=False)))
        places.sort(key=lambda row: row[:3])
        start = _Part(None, len(self._own.passed), is_row=False)
        return [start, *(part for *_, part in places)]

    @cached_property
    def _own(self) -> _Own:
        """The columns of the execution itself."""
        columns = ("passed", "started_at", "version_id", "version__number")
        row = Execution.objects.filter(pk=self.execution.pk).values_list(*columns).first()
        if row is None:
            # Deleted meanwhile, with its steps.
            return _Own([], datetime.min, 0, 0)
        return _Own(row[0] or [], *row[1:])

    def _read(self, start: int, stop: int) -> list[Step]:
        wanted: list[tuple[_Part, int, int]] = []
        for part in self._parts:
            if start < part.length and stop > 0:
                wanted.append((part, max(start, 0), min(stop, part.length)))
            start, stop = start - part.length, stop - part.length
        rows = self._rows([part.pk for part, *_ in wanted if part.pk is not None])
        found: list[Step] = []
        for part, first, last in wanted:
            if part.is_row:
                step = rows[part.pk]
                step.ran_on = self._version_at(step.closed_at, is_row=True)
                found.append(step)
                continue
            row = rows[part.pk] if part.pk is not None else None
            at = (row.closed_at or row.opened_at) if row else self._own.started_at
            entries = (row.passed if row else self._own.passed) or []
            passed = [passed_step(entry, self.execution.pk, at) for entry in entries[first:last]]
            for step in passed:
                step.ran_on = self._version_at(at, is_row=False)
            found += passed
        return found

    def _version_at(self, at: datetime | None, *, is_row: bool) -> tuple[int, int]:
        """Return the version that the execution ran when a step was closed, or nodes were passed.

        A step that a move has closed belongs to the old version, the nodes that followed it to
        the new one.
        """
        for moved_at, pk, number in self._moves:
            if at is not None and (at < moved_at or (is_row and at == moved_at)):
                return pk, number
        return self._own.version, self._own.version_number

    @cached_property
    def _moves(self) -> list[tuple[datetime, int, int]]:
        """The times of the moves in order, each with the version before it."""
        moves = Move.objects.filter(execution=self.execution).order_by("at", "pk")
        return list(moves.values_list("at", "from_version_id", "from_version__number"))

    def _rows(self, ids: Iterable[int]) -> dict[int | None, Step]:
        wanted = set(ids)
        if not wanted:
            return {}
        rows: QuerySet[Step] = Step.objects.select_related("closed_by", "child__workflow")
        return {row.pk: row for row in rows.filter(pk__in=wanted).prefetch_related("votes")}
