"""Creation triggers: at most one workflow of an entity context starts on creation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils.translation import gettext

from workflows import guards
from workflows.guards.database_errors import find_refusal
from workflows.models import Workflow


def find_creation_workflows(
    context_keys: Iterable[str], *, without: Iterable[int] = ()
) -> QuerySet[Workflow]:
    """Return the workflows that start on creation in these contexts.

    Args:
        context_keys: the keys of the entity contexts.
        without: the ids of workflows to leave out.
    """
    return (
        Workflow._base_manager.filter(context_key__in=set(context_keys), trigger="created")
        .exclude(state="retired")
        .exclude(pk__in=list(without))
    )


def refuse_new(workflows: Sequence[Workflow]) -> None:
    """Judge the triggers of workflows that are not stored yet.

    Raises:
        guards.InvalidTrigger: the settings of a trigger are invalid.
        guards.UnknownSecret: the trigger of an active workflow names a secret that does not exist.
        guards.TriggerTaken: two workflows would start when an entity is created.
    """
    for row in workflows:
        guards.refuse_trigger(row)
        if row.state == row.State.ACTIVE:
            guards.refuse_unknown_secret_of_trigger(row)
    keys = [row.context.key for row in workflows if row.starts_on_creation]
    if keys:
        # A bulk statement may update a stored workflow with the same cuid.
        same = [row.cuid for row in workflows]
        guards.refuse_taken_trigger(find_creation_workflows(keys).exclude(cuid__in=same))
    if len(set(keys)) < len(keys):
        raise guards.TriggerTaken(
            gettext("Two of these workflows would start when an entity is created.")
        )


@contextmanager
def explain_taken_trigger(judge: Callable[[], object]) -> Iterator[None]:
    """Replace the database's unique error with the refusal that names the other workflow.

    Two workflows that take the trigger at the same time meet only at the unique key. This block
    goes around the transaction.

    Args:
        judge: judges the edit again, after the transaction has been rolled back.
    """
    try:
        yield
    except IntegrityError as error:
        refusal = find_refusal(error)
        if not isinstance(refusal, guards.TriggerTaken):
            raise
        judge()
        # An older snapshot does not see the other workflow.
        raise refusal from error


@contextmanager
def attach_to_trigger_field() -> Iterator[None]:
    """Turn a refusal of the trigger into a ``ValidationError`` on the field that it points at."""
    try:
        yield
    except (guards.InvalidTrigger, guards.UnknownSecret, guards.TriggerTaken) as refusal:
        pointer = refusal.problems[0].pointer if refusal.problems else "/trigger"
        raise ValidationError({pointer.split("/")[1]: refusal}) from None
