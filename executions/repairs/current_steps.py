"""Repairs of current steps: open steps, calls, joins, jobs and assignees.

A final status stays final. A live execution without an open step gets its last step back: open if
the step was never closed, otherwise as an incident, so that an operator decides.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from executions.engine import joins
from executions.engine.advance import Advance
from executions.engine.for_each import is_call, item_of
from executions.integrity.open_steps import (
    NEEDED,
    calls_without_deadline,
    calls_without_items,
    candidate_keys,
    has_own_candidates,
    steps_without_job,
    with_deadline,
)
from executions.integrity.waiting_joins import unknown_edges
from executions.models import (
    LIVE,
    OPEN,
    Entity,
    Execution,
    FormDraft,
    Job,
    JobKind,
    Status,
    Step,
    StepState,
    Visits,
    count_visits,
)
from executions.repairs.report import Report
from workflows.graph import Graph, find_calls
from workflows.models import Version

REPAIRED = "repaired"


class CurrentStepRepair:
    """The repair of the current steps of one tree, whose rows are locked."""

    def __init__(self, root: Execution, report: Report) -> None:
        self.root_id = root.pk
        self.report = report
        self.now = timezone.now()

    def run(self) -> None:
        """Repair from the root down. Executions that can continue are advanced by the engine."""
        for execution in self._members():
            self._repair_end(execution)
        for execution in self._members():
            if execution.status in LIVE:
                self._repair_call(execution)
        for execution in self._members():
            if execution.status in LIVE:
                self._restore_open_step(execution)
        self._finish_calls()
        self._continue_item_calls()
        self._release_joins()
        self._restore_jobs()
        self._restore_assignees()

    def _members(self) -> list[Execution]:
        rows = Execution._base_manager.filter(pk=self.root_id)
        below = Execution._base_manager.filter(root_id=self.root_id)
        return list((rows | below).order_by("pk"))

    def _repair_end(self, execution: Execution) -> None:
        rows = Execution._base_manager.filter(pk=execution.pk)
        if execution.status in LIVE and execution.ended_at is not None:
            if Step.objects.filter(execution=execution, opened_at__gt=execution.ended_at).exists():
                rows.update(ended_at=None)
                self.report.add_repair(
                    execution, "It has steps after its end: the time of its end is removed."
                )
                return
            status = self._ending(execution, execution.ended_at)
            rows.update(status=status)
            detail = f"It has a time of its end: it is {status} again."
            self.report.add_repair(
                execution, detail, before={"status": execution.status}, after={"status": status}
            )
            execution.status = status
        if execution.status in LIVE:
            return
        is_open = Step.objects.filter(execution=execution, state__in=OPEN)
        names = sorted(is_open.values_list("node_id", flat=True))
        if names:
            Job.objects.filter(step__in=is_open).delete()
            FormDraft.objects.filter(step__in=is_open).delete()
            is_open.update(
                state=StepState.CANCELLED, closed_at=execution.ended_at or self.now, incident=None
            )
            rows.filter(ended_at=None).update(ended_at=self.now)
            steps = ", ".join(f"“{name}”" for name in names)
            detail = f"It is {execution.status}: its open steps are closed: {steps}."
            self.report.add_repair(execution, detail, before={"open": names}, after={"open": []})

    def _ending(self, execution: Execution, ended_at: datetime) -> str:
        # A node that ends an execution is always passed.
        if any(
            key.type == "fail" and key.state == StepState.DONE for key in count_visits(execution)
        ):
            return Status.FAILED.value
        if any(step.type == "end" and step.closed_at == ended_at for step in Visits(execution)):
            # A terminating end cancels the other steps.
            return Status.COMPLETED.value
        steps = Step.objects.filter(execution=execution)
        if steps.filter(state=StepState.CANCELLED, closed_at=ended_at).exists():
            return Status.CANCELLED.value
        return Status.COMPLETED.value

    def _repair_call(self, child: Execution) -> None:
        if child.parent_id is None:
            return
        parent = Execution._base_manager.get(pk=child.parent_id)
        root = Execution._base_manager.get(pk=self.root_id)
        if parent.status not in LIVE or root.status not in LIVE:
            self._cancel(child, "Its caller has ended.")
            return
        step = Step.objects.filter(child=child, execution=parent).first()
        if step is None:
            step = self._step_that_called(parent, child)
            if step is None:
                self._cancel(child, "No step calls it.")
                return
            Step._base_manager.filter(pk=step.pk).update(child=child)
            self.report.add_repair(
                parent, f"Its step “{step.node_id}” waits for the child {child.cuid} again."
            )
        if step.state != StepState.OPEN:
            self._reopen(parent, step, "its child is live")

    def _step_that_called(self, parent: Execution, child: Execution) -> Step | None:
        source = Version._base_manager.get(pk=parent.version_id).source
        nodes = [node for node, cuid in find_calls(source) if cuid == child.workflow.cuid]
        steps = Step.objects.filter(execution=parent, node_id__in=nodes, child=None)
        found = [step for step in steps.order_by("state", "pk") if not is_call(step)]
        return next((step for step in reversed(found) if item_of(step) == child.item), None)

    def _reopen(self, execution: Execution, step: Step, why: str, **values: Any) -> None:
        given = {"state": StepState.OPEN, "closed_at": None, "closed_by": None, "incident": None}
        Step._base_manager.filter(pk=step.pk).update(**{**given, **values})
        state = values.get("state", StepState.OPEN)
        detail = f"Its step “{step.node_id}” is open again: {why}."
        if state == StepState.INCIDENT:
            detail = f"Its step “{step.node_id}” is an incident: {why}."
        self.report.add_repair(
            execution,
            detail,
            before={"node": step.node_id, "state": step.state},
            after={"node": step.node_id, "state": str(state)},
        )

    def _restore_open_step(self, execution: Execution) -> None:
        steps = Step.objects.filter(execution=execution)
        if steps.filter(state__in=OPEN).exists():
            return
        # Services always store when a step was closed.
        unproven = steps.exclude(state__in=OPEN).filter(closed_at=None).order_by("pk")
        found = [step for step in unproven if step.child is None or step.child.status in LIVE]
        for step in found:
            self._reopen(execution, step, "it was never closed")
        if found:
            return
        # The item of a closed call leads nowhere: the call itself is opened.
        last = next((step for step in steps.order_by("-pk") if item_of(step) is None), None)
        if last is None:
            self.report.add_unresolved(
                execution,
                "It has no step that can be opened again.",
                "Cancel it and start a new execution.",
            )
            return
        incident = {
            "code": REPAIRED,
            "detail": "The execution had no open step. This was its last one.",
            "at": self.now.isoformat(),
            "attempt": last.attempt,
        }
        self._reopen(
            execution,
            last,
            "it was the last step. Retry it, skip it, or cancel the execution",
            state=StepState.INCIDENT,
            incident=incident,
            # A closed call has no results any more: when it is retried, it reads its items again.
            **({"input": None, "output": None} if is_call(last) else {}),
        )

    # Repairs by the engine

    def _advance(self) -> Advance:
        rows = Execution._base_manager.select_related("version").defer("version__source")
        root = rows.get(pk=self.root_id)
        return Advance(root, Entity._base_manager.get(pk=root.entity_id), now=self.now)

    def _current(self, advance: Advance, pk: Any) -> Execution:
        if pk == advance.root.pk:
            return advance.root
        rows = Execution._base_manager.select_related("version").defer("version__source")
        return rows.get(pk=pk)

    def _cancel(self, child: Execution, why: str) -> None:
        advance = self._advance()
        current = self._current(advance, child.pk)
        if current.status not in LIVE:
            return
        advance.cancel(current, why)
        advance.write()
        self.report.add_repair(
            child,
            f"It is cancelled: {why[0].lower()}{why[1:]}",
            before={"status": child.status},
            after={"status": Status.CANCELLED.value},
        )

    def _finish_calls(self) -> None:
        ended = Step.objects.filter(state=StepState.OPEN, child__isnull=False)
        ended = ended.filter(execution__status__in=LIVE).exclude(child__status__in=LIVE)
        for execution in self._members():
            for step in ended.filter(execution=execution).select_related("child"):
                advance = self._advance()
                child = self._current(advance, step.child_id)
                child.parent_id = execution.pk
                advance.notify_caller(child)
                advance.finish()
                self.report.add_repair(
                    execution,
                    f"The call of its step “{step.node_id}” has ended: the child {child.cuid} is "
                    f"{child.status}.",
                    before={"node": step.node_id, "state": step.state},
                )

    def _continue_item_calls(self) -> None:
        for execution in self._members():
            for step in calls_without_items(execution=execution):
                advance = self._advance()
                run = advance.get_run(self._current(advance, execution.pk))
                found = run.open_steps.find(step.pk)
                if found is None:
                    continue
                advance.visit_step(run, found).continue_items()
                advance.finish()
                self.report.add_repair(
                    execution,
                    f"The call of its step “{step.node_id}” has continued: no item was open.",
                )

    def _release_joins(self) -> None:
        for execution in self._members():
            if execution.status not in LIVE:
                continue
            advance = self._advance()
            run = advance.get_run(self._current(advance, execution.pk))
            for step in run.open_steps:
                if step.type == joins.JOIN:
                    self._remove_unknown_edges(execution, run.manager.graph, step)
            ready = joins.find_ready(run.manager.graph, run.open_steps)
            if ready is not None:
                advance.finish()
                self.report.add_repair(
                    execution, f"Its join “{ready.node_id}” has continued: no branch can reach it."
                )

    def _remove_unknown_edges(self, execution: Execution, graph: Graph, step: Step) -> None:
        unknown = unknown_edges(graph, step)
        if not unknown:
            return
        before = step.input
        names, continued = (
            [None if name in unknown else name for name in found]
            for found in (joins.arrivals(step), joins.stored_edges(step, joins.CONTINUED))
        )
        if joins.has_continued(step):
            absorbs = joins.stored_edges(step, joins.ABSORBS)
            left = [name for name in absorbs if name not in unknown]
            joins.absorb_later(step, names, continued, left)
        else:
            joins.set_arrivals(step, names)
        Step._base_manager.filter(pk=step.pk).update(input=step.input)
        self.report.add_repair(
            execution,
            f"The unknown edges at its join “{step.node_id}” are removed.",
            before={"node": step.node_id, "input": before},
            after={"node": step.node_id, "input": step.input},
        )

    def _restore_jobs(self) -> None:
        for execution in self._members():
            for step in steps_without_job(execution=execution):
                job_type = next(
                    job_type for job_type, types in NEEDED.items() if step.type in types
                )
                due = step.due_at or execution.scheduled_for or self.now
                Step._base_manager.filter(pk=step.pk).update(due_at=due)
                self._restore_job(execution, step, job_type, due)
            calls = calls_without_deadline(execution=execution)
            for step in with_deadline(calls.select_related("execution__version")):
                self._restore_job(execution, step, JobKind.DEADLINE, step.due_at or self.now)

    def _restore_job(self, execution: Execution, step: Step, kind: str, due: datetime) -> None:
        Job.objects.update_or_create(step=step, kind=kind, defaults={"due_at": due})
        label = JobKind(kind).label.lower()
        detail = f"Its step “{step.node_id}” has its job again: {label}."
        self.report.add_repair(execution, detail)

    def _restore_assignees(self) -> None:
        for execution in self._members():
            steps = list(Step.objects.filter(execution=execution, state__in=OPEN))
            if execution.status not in LIVE or not steps:
                continue
            source = Version._base_manager.get(pk=execution.version_id).source
            keys = candidate_keys(execution.version_id, source)
            for step in steps:
                assignees = keys.get(step.node_id, step.assignees)
                if assignees != step.assignees and not has_own_candidates(step):
                    Step._base_manager.filter(pk=step.pk).update(assignees=assignees)
                    self.report.add_repair(
                        execution,
                        f"Its step “{step.node_id}” has the assignees of its version again.",
                        before={"node": step.node_id, "assignees": step.assignees},
                        after={"node": step.node_id, "assignees": assignees},
                    )
