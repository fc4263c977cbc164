"""Writing a move: the rows of the tree, and an advance that continues from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError

from executions.engine import joins
from executions.engine.advance import Advance
from executions.engine.claims import find_claimer
from executions.engine.move_plan import MovePlan, PlannedStep
from executions.engine.node_visit import NodeVisit
from executions.engine.nodes import behaviour
from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import candidates_key
from executions.engine.nodes.deadline import schedule_deadline, wait_until_deadline
from executions.engine.nodes.wait import TIMER, Wait
from executions.engine.run import Run
from executions.engine.store import store
from executions.models import (
    USER_ACTION,
    Closure,
    Execution,
    FormDraft,
    JobKind,
    Move,
    Step,
    StepState,
    delete_unused_closures,
    get_closure,
)
from executions.services.claiming import write_claim
from executions.services.decisions import reset_timers
from executions.services.move_destination import Destination
from executions.services.move_reading import LiveTree
from executions.services.voting import count_votes
from workflows.audit.log import Action, make_attempt, record
from workflows.db import clock, locks
from workflows.editing import try_waiting_changes
from workflows.graph import START
from workflows.models import Candidate, Version, unsealed_rows
from workflows.models.candidate import DEADLINE, read_voting_rule, step_key

TIMING = (DEADLINE, "interval", "at", "at_field", "delta")
"""The settings of a node that set the due time of its steps."""
CALLS: tuple[str, ...] = ("http_request", "notify")
"""The node types that freeze fields for a job when they are entered."""
STEP_COLUMNS = ("node_id", "type", "label", "assignees")
LEAST = timedelta(microseconds=1)


def write_move(
    tree: LiveTree,
    destination: Destination,
    plan: MovePlan,
    *,
    retime: bool,
    why: str,
    by: Any,
) -> None:
    """Write a move that has no obstacles, and continue the executions from their steps."""
    assert destination.version is not None
    # Later than all that happened on the old versions, and earlier than the advance below.
    at = max(clock.now(), tree.root.updated_at + LEAST)
    moved = _find_moved(tree, destination, plan)
    before = {row.pk: row.version for row in tree.executions}
    old_closure = tree.root.closure
    _write_versions(tree.root, destination, moved, at, why)
    _write_steps(tree, plan, moved)
    advance = Advance(tree.root, tree.entity, now=at + LEAST, by=by)
    runs = {tree.root.cuid: advance.get_run(tree.root)}
    for child, steps in store.live_below(tree.root) if tree.children else ():
        runs[child.cuid] = advance.add_run(child, steps)
    for planned in plan.steps:
        _StepMove(advance, runs[planned.execution], planned, tree, at).apply(retime=retime)
    advance.finish()
    if old_closure is not None and old_closure.pk != tree.root.closure_id:
        delete_unused_closures(Closure.objects.filter(pk=old_closure.pk))
    # Last, because the counter of the audit log is the last lock of a transaction.
    _write_history(tree, destination, plan, moved, before, at=at, why=why, by=by)
    # A change on hold may have waited for what the old versions could call.
    try_waiting_changes([tree.root.context_key])


def _find_moved(
    tree: LiveTree, destination: Destination, plan: MovePlan
) -> dict[Execution, Version]:
    """Return the executions that get another version or have a step at another node."""
    mapped = {planned.execution for planned in plan.mapped}
    found = {}
    for row in tree.executions:
        version = destination.version_of(row.workflow_id)
        if version is None or row.cuid in plan.cancelled:
            continue
        if row is tree.root or row.version_id != version.pk or row.cuid in mapped:
            found[row] = version
    return found


def _write_versions(
    root: Execution,
    destination: Destination,
    moved: Mapping[Execution, Version],
    at: datetime,
    why: str,
) -> None:
    version = destination.versions[0]
    if not version.in_force:
        # The keys reject it if its context, or that of a callee, is not the present one.
        Version._base_manager.filter(pk=version.pk).update(in_force=True)
        version.in_force = True
    try:
        closure = get_closure(version, destination.pinned)
    except IntegrityError as error:
        # Another transaction has created the closure meanwhile.
        raise locks.TryAgain from error
    children: list[Execution] = []
    ids: dict[int, list[int]] = {}
    for row, target in moved.items():
        if row is not root and row.version_id != target.pk:
            children.append(row)
            ids.setdefault(target.pk, []).append(row.pk)
    with unsealed_rows([root, *children], why=f"move: {why}"):
        rows = Execution._base_manager.all()
        rows.filter(pk=root.pk).update(version=version, closure=closure)
        for pk, of_version in ids.items():
            rows.filter(pk__in=of_version).update(version=pk, updated_at=at)
    root.version, root.closure = version, closure


def _write_steps(tree: LiveTree, plan: MovePlan, moved: Mapping[Execution, Version]) -> None:
    """Write the node of each step that continues; the other columns stay."""
    versions = {row.cuid: version for row, version in moved.items()}
    changed, of_own = [], {}
    for planned in plan.steps:
        if planned.restart or planned.execution not in versions:
            continue
        step = tree.rows[planned.step.cuid]
        node, version = planned.node, versions[planned.execution]
        own = step_key(step.cuid)
        if step.assignees == own:
            of_own[own] = (node, version)
        values = {
            "node_id": node.id,
            "type": node.type,
            # The label of an item has its number.
            "label": step.label if planned.step.is_item else node.label[:200],
            "assignees": own if step.assignees == own else candidates_key(version.pk, node),
        }
        if any(getattr(step, name) != value for name, value in values.items()):
            changed.append((step, values))
    left = [step.pk for step, new in changed if step.type == USER_ACTION != new["type"]]
    if left:
        FormDraft.objects.filter(step__in=left).delete()
    for step, values in changed:
        for name, value in values.items():
            setattr(step, name, value)
    if changed:
        Step._base_manager.bulk_update([step for step, _ in changed], STEP_COLUMNS, 500)
    for key, (node, version) in of_own.items():
        rule = read_voting_rule(node.data)
        Candidate._base_manager.filter(key=key).update(version=version, node_id=node.id, **rule)


class _StepMove:
    """The continuation of one planned step in the advance of the move."""

    def __init__(
        self,
        advance: Advance,
        run: Run,
        planned: PlannedStep,
        tree: LiveTree,
        at: datetime,
    ) -> None:
        self.advance = advance
        self.run = run
        self.planned = planned
        self.tree = tree
        self.at = at
        self.row = tree.rows[planned.step.cuid]
        self.step = next(row for row in run.open_steps if row.pk == self.row.pk)

    def apply(self, *, retime: bool) -> None:
        """Let the step continue, or begin again."""
        if self.planned.restart:
            self._restart()
            return
        if self.planned.arrivals is not None:
            self._write_edges(self.planned.arrivals)
        if self.step.state == StepState.INCIDENT:
            return
        # The deadline of a call with items is that of its own step.
        if retime and not self.planned.step.is_item and self._has_other_timing():
            self._retime()
        elif self._is_call_with_first_deadline():
            self._retime_call()
        if self.planned.node.type in CALLS:
            self._add_fields()
        visit = self.advance.visit_step(self.run, self.step)
        if self.step.claimed_by_id is not None and not find_claimer(
            self.step, visit.node, visit.candidates_key
        ):
            # The account that has claimed it may not do it by the new graph.
            write_claim(visit, None)
        if self.planned.node.type == Approval.name:
            count_votes(visit)

    def _write_edges(self, arrivals: Iterable[Any]) -> None:
        """Write the edges of a join by their names in the new graph, if these differ."""
        step = self.step
        edges = {
            joins.ARRIVED: (joins.arrivals(step), list(arrivals)),
            joins.CONTINUED: (
                joins.stored_edges(step, joins.CONTINUED),
                list(self.planned.continued),
            ),
            joins.ABSORBS: (joins.stored_edges(step, joins.ABSORBS), list(self.planned.absorbs)),
        }
        changed = {key: new for key, (old, new) in edges.items() if old != new}
        if changed:
            stored = step.input if isinstance(step.input, dict) else {}
            step.input = {**stored, **changed}
            self.advance.mark_changed(step)

    def _restart(self) -> None:
        step, node = self.step, self.planned.node
        self.advance.close_step(
            self.run, step, state=StepState.CANCELLED, output={"moved_to": node.id}
        )
        # The step itself belongs to the old version, the nodes that it leads to to the new one.
        step.closed_at = self.at
        if not self.planned.step.is_item:
            self.advance.enter(self.run, node, origin=step)
        live = {row.pk: row for row in self.tree.children}
        if step.child_id in live:
            reason = "The step that called it was moved to another version and began again."
            self.advance.cancel(live[step.child_id], reason)

    def _has_other_timing(self) -> bool:
        old, new = self.tree.old_node(self.planned), self.planned.node
        return old is None or any(old.data.get(name) != new.data.get(name) for name in TIMING)

    def _is_call_with_first_deadline(self) -> bool:
        """Return True if a call has a deadline only at its new node: then it needs a job (I8)."""
        old, new = self.tree.old_node(self.planned), self.planned.node
        had_deadline = old is not None and old.data.get(DEADLINE) is not None
        return new.type in CALLS and new.data.get(DEADLINE) is not None and not had_deadline

    def _retime(self) -> None:
        """Compute the due time as if the step had been opened at its new node."""
        if self.planned.node.type == START:
            return
        if self.planned.node.type in CALLS:
            self._retime_call()
            return
        reset_timers(self.row, JobKind.TIMER, JobKind.DEADLINE, JobKind.OVERDUE)
        self.step.overdue = False
        visit = _SinceOpened(self.advance, self.run, self.planned.node, self.step)
        visit.opened_at = self.row.opened_at
        if self.planned.node.type == Wait.name:
            behaviour(Wait.name).enter(visit)
        else:
            wait_until_deadline(visit)
        self.advance.mark_changed(self.step)

    def _retime_call(self) -> None:
        """Compute the deadline of a call as ``_retime`` does. The call itself goes on."""
        reset_timers(self.row, JobKind.DEADLINE, JobKind.OVERDUE)
        self.step.overdue = False
        visit = _SinceOpened(self.advance, self.run, self.planned.node, self.step)
        visit.opened_at = self.row.opened_at
        visit.wait(due=visit.now)
        schedule_deadline(visit)
        self.advance.mark_changed(self.step)

    def _add_fields(self) -> None:
        """Freeze the fields that only the new node needs; those of the old node stay frozen."""
        visit = _NeededFields(self.advance, self.run, self.planned.node, self.step)
        behaviour(self.planned.node.type).enter(visit)
        frozen = self.step.input if isinstance(self.step.input, dict) else {}
        known = frozen.get("fields", {})
        fields = {**visit.read_fields(visit.names), **known}
        if fields != known:
            self.step.input = {**frozen, "fields": fields}
            self.advance.mark_changed(self.step)


class _SinceOpened(NodeVisit):
    """A visit that computes a due time from the time at which the step was opened."""

    opened_at: datetime

    @property
    def now(self) -> datetime:
        return self.opened_at

    def leave(
        self,
        handle: str | None = None,
        output: Mapping[str, Any] | None = None,
        absorbs: list[Any] | None = None,
    ) -> None:
        # The time has passed: the worker continues the step at once.
        self.wait(due=self.advance.now)
        self.schedule_job(TIMER, self.advance.now)


class _NeededFields(NodeVisit):
    """A visit that only notes the fields which the node would freeze."""

    names: Iterable[str] = ()

    def perform(self, kind: str, fields: Iterable[str]) -> None:
        self.names = list(fields)

    def wait(self, due: datetime | None = None) -> None:
        """Keep the due time that the step has."""

    def schedule_job(self, kind: str, at: datetime) -> None:
        """Keep the jobs that the step has."""


def _write_history(
    tree: LiveTree,
    destination: Destination,
    plan: MovePlan,
    moved: Mapping[Execution, Version],
    before: Mapping[int, Version],
    *,
    at: datetime,
    why: str,
    by: Any,
) -> None:
    """Write the moves and the audit entries of all executions that were moved."""
    moves, attempts = [], []
    planned: dict[str, list[PlannedStep]] = defaultdict(list)
    for one in plan.steps:
        planned[one.execution].append(one)
    for row, version in moved.items():
        steps = planned[row.cuid]
        moves.append(
            Move(
                execution=row,
                from_version=before[row.pk],
                to_version=version,
                at=at,
                by=by,
                why=why,
                steps=[_describe(one) for one in steps if not one.stays],
            )
        )
        old: dict[str, Any] = {"version": before[row.pk].number}
        new: dict[str, Any] = {"version": version.number}
        old["steps"] = {one.step.cuid: one.step.node_id for one in steps}
        new["steps"] = {one.step.cuid: one.node.id for one in steps}
        if row is tree.root:
            old["pinned"], new["pinned"] = tree.pinned, destination.pinned_numbers
        attempts.append(make_attempt(row, Action.MOVED, before=old, after=new, why=why, by=by))
    Move.objects.bulk_create(moves)
    record(attempts)


def _describe(planned: PlannedStep) -> dict[str, Any]:
    return {
        "step": planned.step.cuid,
        "from": planned.step.node_id,
        "to": planned.node.id,
        "restarted": planned.restart,
    }
