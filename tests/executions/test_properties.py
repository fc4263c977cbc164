"""Properties of random graphs under random actions and edits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth import get_user_model
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executions import integrity, services
from executions.models import FOR_PEOPLE, LIVE, Execution, Job, Secret, Step, StepState
from executions.worker import queue
from tests.executions.graph_strategies import OTHER_VOTER, SECRET, VOTER, Block, RandomGraph, blocks
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory, voter
from workflows import editing
from workflows.models import Workflow
from workflows.refusals import Refusal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

ACTIONS, PATIENCE = 12, 400
LATE = timedelta(days=60)
History = list[tuple[int, str, str, str]]


class Workflows:
    """Three workflows with calls, and an execution of the first."""

    def __init__(self, blocks: list[Block]) -> None:
        kind = FindingTypeFactory()
        accounts = get_user_model().objects
        self.people = [
            accounts.filter(username=name).first() or voter(name) for name in (VOTER, OTHER_VOTER)
        ]
        if not Secret.objects.exists():
            secret = Secret(name=SECRET)
            secret.set_value("a secret of some length")
            secret.save()
        self.workflows: list[Workflow] = []
        for block in blocks:
            workflow = WorkflowFactory(entity_name_type=kind)
            self.save(workflow, block)
            self.workflows.append(workflow)
        self.root = self.start(self.workflows[-1])
        self.others: list[Execution] = []

    def save(self, workflow: Workflow, block: Block) -> None:
        below = self.workflows
        if workflow in below:
            below = below[: below.index(workflow)]
        source = RandomGraph(block, [callee.cuid for callee in below]).source
        editing.save_graph(workflow, source, based_on=workflow.latest_version.number)

    def start(self, workflow: Workflow) -> Execution:
        workflow.refresh_from_db()
        finding = FindingFactory(
            entity_name_type=workflow.entity_name_type, fields={"date": "soon"}
        )
        return services.start(workflow, finding)

    def act(self, root: Execution, choose: Random, *, carry_on: bool) -> bool:
        """Act on a random open step. Return False once the root has ended."""
        root.refresh_from_db()
        if root.status not in LIVE:
            return False
        steps = Step.objects.open().select_related("execution").order_by("pk")
        tree = steps.filter(execution__root=root) | steps.filter(execution=root)
        decidable = [step for step in tree if _is_decidable(step)]
        assert decidable, f"stranded: {[(step.node_id, step.state) for step in tree]}"
        calls = [] if carry_on else [step for step in tree if _is_cancellable(step)]
        step = choose.choice(decidable + [call for call in calls if call not in decidable])
        self.decide(step, choose, carry_on=carry_on)
        return True

    def decide(self, step: Step, choose: Random, *, carry_on: bool) -> None:
        execution, at = step.execution, step.cuid
        luck, chance = choose.random() < 0.5, choose.random()
        if step.state == StepState.INCIDENT:
            if luck and not carry_on:
                services.retry(execution, step=at)
            else:
                services.skip(execution, step=at, handle=_safe_exit(step), why="w")
        elif chance < 0.3 and step.due_at and step.type not in ("wait", "http_request"):
            if not step.overdue:
                _serve_late(step, "deadline", dies=luck)
        elif step.type in FOR_PEOPLE and not carry_on and chance > 0.7:
            self._move_between_people(step, choose)
        elif step.type == "user_action":
            self._submit(step, choose, luck=luck, carry_on=carry_on)
        elif step.type == "approval":
            self._vote(step, choose, approves=luck)
        elif step.type == "run_workflow":
            if step.child is not None:
                services.cancel(step.child)
            else:
                services.skip(execution, step=at, handle=_safe_exit(step), why="w")
        elif step.type == "webhook":
            services.skip(execution, step=at, handle=_safe_exit(step), why="w")
        elif step.type == "http_request":
            _serve_late(step, "call", dies=luck)
        elif luck:
            services.wake(execution, step=at)
        else:
            _serve_late(step, "timer", dies=chance < 0.5)

    def _submit(self, step: Step, choose: Random, *, luck: bool, carry_on: bool) -> None:
        by = _claimer(step) or (self.people[0] if luck or step.assignees else None)
        if by is not None:
            services.claim(step.execution, step=step.cuid, by=by)
        names = {field["name"] for field in _form(step).get("fields", ())}
        action = choose.choice(["yes", "no"]) if "actions" in _form(step) else None
        values = {"again": luck and not carry_on, "sum": 1}
        data = {name: values[name] for name in names}
        services.submit(step.execution, step=step.cuid, data=data, by=by, action=action)

    def _vote(self, step: Step, choose: Random, *, approves: bool) -> None:
        by = _claimer(step) or choose.choice(self.people)
        try:
            services.vote(step.execution, step=step.cuid, approves=approves, by=by)
        except Refusal:
            # Only one of them may vote here, has submitted a form, or has claimed the step: an
            # operator takes the decision.
            exit_ = "approved" if approves else "rejected"
            services.skip(step.execution, step=step.cuid, handle=exit_, why="w")

    def _move_between_people(self, step: Step, choose: Random) -> None:
        """Claim, give back, reassign, postpone or comment; a refusal is fine."""
        execution, at, by = step.execution, step.cuid, choose.choice(self.people)
        later = timezone.now() + timedelta(days=choose.choice([8, 20]))
        moves: list[Callable[[], Any]] = [
            lambda: services.claim(execution, step=at, by=by),
            lambda: services.unclaim(execution, step=at, by=by),
            lambda: services.reassign(execution, step=at, users=[VOTER, OTHER_VOTER], why="w"),
            lambda: services.postpone(execution, step=at, until=later, why="w"),
            lambda: services.comment(execution, step=at, text="c", by=by),
        ]
        with contextlib.suppress(Refusal):
            choose.choice(moves)()

    def carry_to_the_end(self, root: Execution, choose: Random) -> None:
        for _ in range(PATIENCE):
            if not self.act(root, choose, carry_on=True):
                return
        raise AssertionError(f"{root} has not ended after {PATIENCE} decisions.")

    def history(self) -> History:
        root = self.root
        steps = Step.objects.filter(execution__root=root) | Step.objects.filter(execution=root)
        number: dict[int, int] = {}
        return [
            (number.setdefault(step.execution_id, len(number)), step.node_id, step.state)
            + (step.handle,)
            for step in steps.order_by("pk")
        ]

    def edit(self, choose: Random, blocks: list[Block]) -> None:
        """Try a random edit through its service. A refusal is fine."""
        ids = [workflow.pk for workflow in self.workflows if workflow.pk]
        self.workflows = list(Workflow.objects.filter(pk__in=ids).order_by("pk"))
        workflow = choose.choice(self.workflows)
        edits: list[Callable[[], Any]] = [
            lambda: self.save(workflow, choose.choice(blocks)),
            lambda: editing.set_state(workflow, choose.choice(["active", "draft", "retired"])),
            lambda: editing.change_entity_context(
                choose.choice([[workflow], self.workflows]), entity_name_type=FindingTypeFactory()
            ),
            lambda: workflow.delete(),
            lambda: self.others.append(self.start(workflow)),
            lambda: self.root.entity.delete(),
            lambda: Secret.objects.all().delete(),
        ]
        with contextlib.suppress(Refusal):
            choose.choice(edits)()


def _safe_exit(step: Step) -> str | None:
    exits = step.execution.get_workflow_manager().graph.exits.get(step.node_id, {None: None})
    return next(one for one in (None, "default", "approved", "yes") if one in exits)


def _claimer(step: Step) -> Any:
    return step.claimed_by


def _form(step: Step) -> dict[str, Any]:
    manager = step.execution.get_workflow_manager()
    return dict(manager.graph.nodes[step.node_id].data)


def _serve_late(step: Step, kind: str, *, dies: bool) -> None:
    """Let the job of a step become due, and serve it. A worker may die before: its lease passes."""
    job = Job.objects.get(step=step, kind=kind)
    Job.objects.filter(pk=job.pk).update(due_at=job.due_at - LATE)
    if dies:
        (claimed,) = queue.claim_jobs(1)
        assert claimed.pk == job.pk
        Job.objects.filter(pk=job.pk).update(leased_until=timezone.now() - LATE)
    queue.serve_due()


def _is_cancellable(step: Step) -> bool:
    """Return True for a call with a child, or with a deadline."""
    return step.child is not None or (step.type == "run_workflow" and step.due_at is not None)


def _is_decidable(step: Step) -> bool:
    if step.state == StepState.INCIDENT:
        return True
    return step.type in (*FOR_PEOPLE, "wait", "webhook", "http_request")


def lived(blocks: list[Block], seed: int, edited: tuple[int, list[Block]] | None) -> Workflows:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(project, "SECRETS_KEY", ["0" * 43 + "="])
        # Low enough that some graphs exceed it and are undone.
        patched.setattr("executions.engine.advance.STEP_BUDGET", 25)
        workflows, choose = Workflows(blocks), Random(seed)
        choices = Random(edited[0]) if edited else None
        # All rows of all examples are checked, so that the gate checks only some of the steps.
        every = 4 if settings.get_current_profile_name() == "quick" else 1
        for number in range(ACTIONS):
            if not workflows.act(workflows.root, choose, carry_on=False):
                break
            if choices and edited:
                workflows.edit(choices, edited[1])
            if number % every == 0:
                assert integrity.find_violations() == []
    workflows.carry_to_the_end(workflows.root, choose)
    for other in workflows.others:
        workflows.carry_to_the_end(other, choose)
    assert integrity.find_violations() == []
    return workflows


three = st.lists(blocks, min_size=3, max_size=3)


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(blocks=three, seed=st.integers(0, 10**6), edits=st.integers(0, 10**6), redrawn=three)
def test_edits_neither_strand_an_execution_nor_change_its_path(
    blocks: list[Block],
    seed: int,
    edits: int,
    redrawn: list[Block],
) -> None:
    alone = lived(blocks, seed, None)
    edited = lived(blocks, seed, (edits, redrawn))
    assert edited.history() == alone.history()
    assert edited.root.status == alone.root.status
    edited.root.entity.refresh_from_db()
    alone.root.entity.refresh_from_db()
    assert edited.root.entity.fields == alone.root.entity.fields
    assert _without_ids(edited.root.variables) == _without_ids(alone.root.variables)


def _without_ids(variables: dict[str, Any]) -> dict[str, Any]:
    """Return the variables of an execution; the cause of a failure without its execution."""
    error = variables.get("error")
    return {**variables, "error": error and error["code"]}
