"""Properties of random graphs under random actions and edits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executions import integrity, services
from executions.models import LIVE, Execution, Job, Step, StepState
from executions.worker import queue
from tests.executions.graph_strategies import VOTER, Block, RandomGraph, blocks
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory, voter
from workflows import editing
from workflows.models import Workflow
from workflows.refusals import Refusal

pytestmark = pytest.mark.django_db(transaction=True)

ACTIONS, PATIENCE = 12, 400
History = list[tuple[int, str, str, str]]


class Workflows:
    """Three workflows with calls, and an execution of the first."""

    def __init__(self, blocks: list[Block]) -> None:
        kind = FindingTypeFactory()
        self.workflows: list[Workflow] = []
        for block in blocks:
            workflow = WorkflowFactory(entity_name_type=kind)
            self.save(workflow, block)
            self.workflows.append(workflow)
        self.voter = get_user_model().objects.filter(username=VOTER).first()
        self.voter = self.voter or voter(VOTER)
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
        calls = [] if carry_on else [step for step in tree if step.child is not None]
        step = choose.choice(decidable + [call for call in calls if call not in decidable])
        self.decide(step, choose, carry_on=carry_on)
        return True

    def decide(self, step: Step, choose: Random, *, carry_on: bool) -> None:
        execution, at = step.execution, step.cuid
        luck = choose.random() < 0.5
        if step.state == StepState.INCIDENT:
            if luck and not carry_on:
                services.retry(execution, step=at)
            else:
                services.skip(execution, step=at, handle=_safe_exit(step), why="w")
        elif step.due_at is not None and step.type != "wait" and choose.random() < 0.3:
            _pass_deadline(step)
        elif step.type == "user_action":
            by = self.voter if luck else None
            if by is not None:
                services.claim(execution, step=at, by=by)
            action = choose.choice(["yes", "no"]) if step.due_at else None
            data = {"again": luck and not carry_on}
            services.submit(execution, step=at, data=data, by=by, action=action)
        elif step.type == "approval":
            services.vote(execution, step=at, approves=luck, by=self.voter)
        elif step.type == "run_workflow":
            assert step.child is not None
            services.cancel(step.child)
        elif luck:
            services.wake(execution, step=at)
        else:
            job = Job.objects.get(step=step)
            Job.objects.filter(pk=job.pk).update(due_at=job.due_at - timedelta(days=2))
            assert queue.serve_due() == 1

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
        ]
        with contextlib.suppress(Refusal):
            choose.choice(edits)()


def _safe_exit(step: Step) -> str | None:
    exits = step.execution.get_workflow_manager().graph.exits.get(step.node_id, {None: None})
    return next(one for one in (None, "default", "approved", "yes") if one in exits)


def _pass_deadline(step: Step) -> None:
    job = Job.objects.get(step=step, kind="deadline")
    Job.objects.filter(pk=job.pk).update(due_at=job.due_at - timedelta(days=10))
    assert queue.serve_due() == 1


def _is_decidable(step: Step) -> bool:
    if step.state == StepState.INCIDENT:
        return True
    return step.type in ("user_action", "approval", "wait")


def lived(blocks: list[Block], seed: int, edited: tuple[int, list[Block]] | None) -> Workflows:
    with pytest.MonkeyPatch.context() as patched:
        # Low enough that some graphs exceed it and are undone.
        patched.setattr("executions.engine.advance.STEP_BUDGET", 25)
        workflows, choose = Workflows(blocks), Random(seed)
        choices = Random(edited[0]) if edited else None
        for number in range(ACTIONS):
            if not workflows.act(workflows.root, choose, carry_on=False):
                break
            if choices and edited:
                workflows.edit(choices, edited[1])
            if number % 4 == 0:
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
    assert edited.root.variables == alone.root.variables
