"""Trial runs of graphs: in a transaction that is always rolled back, on an invented entity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext

from executions import guards
from executions.engine import closures
from executions.models import Entity, Execution, Step
from executions.services.skipping import skip
from executions.services.starting import start
from executions.services.submitting import submit
from workflows import editing
from workflows.db import locks
from workflows.models import Workflow

MAX_ANSWERS = 200
"""The number of steps that a trial run can take."""
T = TypeVar("T")


@locks.retrying
def run_trial(
    workflow: Workflow,
    source: object,
    fields: Mapping[str, Any],
    answers: Sequence[Mapping[str, Any]],
    read: Callable[[Execution], T],
) -> T:
    """Run a graph from its start, and return what ``read`` returns at its end.

    Everything is rolled back: rows, webhook events, audit entries and the jobs that would send
    mails and requests. A job runs after the commit, which never happens.

    Args:
        workflow: the workflow whose type and title the trial has. It is neither locked nor changed.
        source: the graph, which need not be saved.
        fields: the fields of the invented entity.
        answers: what is done with open steps, in order. ``step`` is the place of the step in
            ``list_open_steps``; ``data`` (and ``action``) submits its form, ``skip`` leaves it by
            this exit or by its only one (None).
        read: reads the execution before it is rolled back. It must not return lazy querysets.

    Raises:
        graph.WorkflowValidationError: the graph is invalid.
        guards.NotOpen: an answer is about a step that is not open.
        Refusal: a workflow that is called is not active, or an answer is refused.
    """
    with transaction.atomic():
        # An error leaves the block, which rolls back as well.
        found = read(_run(workflow, source, fields, answers))
        transaction.set_rollback(True)
    return found


def list_open_steps(execution: Execution) -> list[Step]:
    """Return the open steps of a tree, in the order in which they were opened."""
    rows = Step.objects.open().select_related("execution__workflow", "execution__version")
    tree = Q(execution=execution) | Q(execution__root=execution)
    return list(rows.filter(tree, execution__live_key__isnull=False).order_by("pk"))


def _run(
    workflow: Workflow,
    source: object,
    fields: Mapping[str, Any],
    answers: Sequence[Mapping[str, Any]],
) -> Execution:
    context = {
        "entity_name": workflow.entity_name,
        "entity_name_type_id": workflow.entity_name_type_id,
        "primary_record_type_id": workflow.primary_record_type_id,
    }
    # A workflow of its own: the trial takes no lock that a start or an edit waits for.
    trial = Workflow(title=workflow.title, state=Workflow.State.ACTIVE, **context)
    trial.save()
    editing.save_graph(trial, source, based_on=1, allow_unknown=True)
    entity = Entity(title=gettext("Invented entity"), fields=dict(fields), **context)
    entity.save()
    try:
        execution = start(trial, entity)
    finally:
        # The id may be used again after the rollback.
        closures.forget_closure(trial.pk)
    for answer in answers[:MAX_ANSWERS]:
        _apply(execution, answer)
    return Execution.objects.select_related("workflow", "version", "entity").get(pk=execution.pk)


def _apply(execution: Execution, answer: Mapping[str, Any]) -> None:
    place, steps = answer.get("step"), list_open_steps(execution)
    if not isinstance(place, int) or not 0 <= place < len(steps):
        raise guards.NotOpen
    step = steps[place]
    if "data" in answer:
        submit(step.execution, data=answer["data"], step=step.cuid, action=answer.get("action"))
    else:
        skip(step.execution, handle=answer.get("skip"), step=step.cuid, why=gettext("Trial run"))
