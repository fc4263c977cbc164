"""Who starts on creation: one workflow of each entity context, and the second is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import QuerySet

from workflows import guards
from workflows.guards.database_errors import as_refusal

if TYPE_CHECKING:
    from workflows.models.workflow import Workflow


def takers(using: str, context_keys: Iterable[str], without: Iterable[int]) -> QuerySet[Workflow]:
    """The workflows that start on creation in these contexts, but for these."""
    rows: Any = apps.get_model("workflows", "Workflow")._base_manager.using(using)
    starting: QuerySet[Workflow] = (
        rows.filter(context_key__in=set(context_keys), trigger="created")
        .exclude(state="retired")
        .exclude(pk__in=list(without))
    )
    return starting


def refuse_new(rows: Sequence[Workflow], using: str) -> None:
    """Judge what starts workflows that are not stored yet.

    Raises ``guards.InvalidTrigger``, ``guards.UnknownSecret`` and ``guards.TriggerTaken``.
    """
    for row in rows:
        guards.refuse_trigger(row)
        if row.state == row.State.ACTIVE:
            guards.refuse_unknown_secret_of_trigger(row)
    keys = [row.context.key for row in rows if row.starts_on_creation]
    if keys:
        # A bulk statement may update what is there by that name already.
        again = [row.cuid for row in rows]
        guards.refuse_taken(takers(using, keys, []).exclude(cuid__in=again))
    if len(set(keys)) < len(keys):
        raise guards.TriggerTaken("Two of these workflows would start when an entity is created.")


@contextmanager
def explaining_taken(judge: Callable[[], object]) -> Iterator[None]:
    """Let the guard name who was first, where the key of the schema found two at once.

    Stands around the transaction; ``judge`` is asked when it has been undone.
    """
    try:
        yield
    except IntegrityError as error:
        refusal = as_refusal(error)
        if not isinstance(refusal, guards.TriggerTaken):
            raise
        judge()
        # An older snapshot does not see who was first.
        raise refusal from error


@contextmanager
def on_field() -> Iterator[None]:
    """Let what a form is refused for its trigger stand on the field that it points at."""
    try:
        yield
    except (guards.InvalidTrigger, guards.UnknownSecret, guards.TriggerTaken) as refusal:
        pointer = refusal.problems[0].pointer if refusal.problems else "/trigger"
        raise ValidationError({pointer.split("/")[1]: refusal}) from None
