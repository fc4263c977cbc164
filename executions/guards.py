"""What may not be done to what is running, and what cannot be started: each rule once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from workflows.db.json_values import quoted, unstorable_in
from workflows.guards import (
    ActiveExecutions,
    ContextShape,
    DependentActiveExecutions,
    HasExecutions,
    TypeInUse,
    blocking_executions,
    refuse_context_shape,
    refuse_draining,
)
from workflows.guards.database_errors import DELETION_KEYS, KEYS
from workflows.refusals import Blockers, BlockingWorkflow, Problem, Refusal, Remedy

CONTEXT_ATTRIBUTES = ("entity_name", "entity_name_type_id", "primary_record_type_id")


class EntityInUse(Refusal):
    message = _("Live executions work on this entity.")
    code = "entity_in_use"


class InvalidFields(Refusal):
    message = _("The fields of an entity are an object: names and their values.")
    code = "invalid_fields"


class NotStartable(Refusal):
    message = _("The workflow cannot be started.")
    code = "not_startable"


class EntityTypeMismatch(Refusal):
    message = _("The entity is of another type than the workflow.")
    code = "entity_type_mismatch"


class NotOpen(Refusal):
    message = _("The step is not open.")
    code = "not_open"


class NotAssigned(Refusal):
    message = _("This step is assigned to others.")
    code = "not_assigned"


class Ended(Refusal):
    message = _("The execution has ended; nothing can be done to it any more.")
    code = "execution_ended"


class ExecutionFrozen(Refusal):
    message = _("What an execution started with is written once.")
    code = "execution_frozen"


class ExecutionLive(Refusal):
    message = _("A live execution cannot be deleted; cancel it first.")
    code = "execution_live"


class NotARoot(Refusal):
    message = _("The execution was started by another one.")
    code = "not_a_root"


class NoIncident(Refusal):
    message = _("The step is not in the state that this needs.")
    code = "no_incident"


class NoSuchHandle(Refusal):
    message = _("The node has no such exit.")
    code = "no_such_handle"


class TooManySelected(Refusal):
    message = _("More executions were chosen than are changed at once.")
    code = "too_many_selected"


class InvalidDraft(Refusal):
    message = _("A draft is an object: the names of fields and what they hold so far.")
    code = "invalid_draft"


class UnfitSubscription(Refusal):
    message = _("A webhook names the events that it is told of.")
    code = "invalid_webhook"


class UrlRefused(Refusal):
    message = _("Nothing may be sent to this address.")
    code = "webhook_url_refused"


class SubscriptionDisabled(Refusal):
    message = _("The webhook is disabled; make it active first.")
    code = "webhook_disabled"


class NoSecretsKey(Refusal):
    message = _("Secrets cannot be kept: the setting SECRETS_KEY is not set.")
    code = "no_secrets_key"


KEYS.update(
    {
        "executions_execution_version_fk": ActiveExecutions,
        "executions_execution_entity_fk": EntityInUse,
        "executions_execution_sealed": ExecutionFrozen,
        "executions_execution_final": Ended,
        "executions_pin_version_fk": DependentActiveExecutions,
        "executions_pin_root_fk": ExecutionFrozen,
        "executions_pin_sealed": ExecutionFrozen,
        "executions_pin_attached": ExecutionFrozen,
        "executions_entity_shape": ContextShape,
        "executions_entity_fields": InvalidFields,
        "executions_entity_sealed": ExecutionFrozen,
    }
)
DELETION_KEYS.update(
    {
        "executions_execution_version_": HasExecutions,
        "executions_pin_version_": HasExecutions,
        "executions_execution_entity_": EntityInUse,
        "executions_triggeredstart_entity_": EntityInUse,
        "executions_entity_entity_name_type_": TypeInUse,
        "executions_entity_primary_record_type_": TypeInUse,
    }
)


def _stored(row: Any) -> Any:
    return row._meta.concrete_model._base_manager.using(row._state.db).filter(pk=row.pk).first()


def changes_context(entity: Any, update_fields: Iterable[str] | None = None) -> bool:
    """Whether saving the entity would change its context."""
    stored = _stored(entity)
    if stored is None:
        return False
    written = None if update_fields is None else set(update_fields)
    return any(
        getattr(entity, name) != getattr(stored, name)
        for name in CONTEXT_ATTRIBUTES
        if written is None or {name, name.removesuffix("_id")} & written
    )


def refuse_entity_edit(entity: Any, update_fields: Iterable[str] | None = None) -> None:
    """Raises ``EntityInUse`` when the context of an entity with live executions would change."""
    if not changes_context(entity, update_fields):
        return
    refuse_context_shape(entity)
    _refuse_if_worked_on(entity, "change the type of")


def refuse_entity_deletion(entity: Any) -> None:
    """Raises ``EntityInUse`` when any execution, live or not, is of this entity."""
    _refuse_if_worked_on(entity, "delete")
    rows, total = blocking_executions(entity.executions.all())
    if rows:
        raise EntityInUse(
            f"Cannot delete “{entity}”: {total} execution{'' if total == 1 else 's'} ran on it.",
            blockers=Blockers(rows, (), total),
        )


def refuse_entities_edit(names: Iterable[str], executions: Any) -> None:
    """Raises ``EntityInUse`` when a bulk statement would change the type of entities that
    ``executions``, the live ones, work on.
    """
    types = {name.removesuffix("_id") for name in CONTEXT_ATTRIBUTES}
    if not types & {name.removesuffix("_id") for name in names}:
        return
    rows, total = blocking_executions(executions)
    if rows:
        raise EntityInUse(
            f"Cannot change the type of these entities: {total} live "
            f"execution{' works' if total == 1 else 's work'} on them. Finish these first, or "
            "cancel them with executions.services.cancel().",
            blockers=Blockers(rows, (), total),
        )


def _refuse_if_worked_on(entity: Any, edit: str) -> None:
    rows, total = blocking_executions(entity.executions.live())
    if rows:
        number = f"{total} live execution{'' if total == 1 else 's'}"
        raise EntityInUse(
            f"Cannot {edit} “{entity}”: {number} {'works' if total == 1 else 'work'} on it.",
            blockers=Blockers(rows, (), total),
            remedies=[
                Remedy(
                    "finish_or_cancel",
                    f"Finish or cancel {number} first.",
                    sorted({row.workflow_cuid for row in rows}),
                )
            ],
        )


def refuse_fields(entity: Any) -> None:
    """Raises ``InvalidFields`` when the fields are no object, or hold what no database keeps."""
    if not isinstance(entity.fields, dict):
        raise InvalidFields(problems=[Problem("/fields", InvalidFields.code, "Not an object.")])
    before = entity.read_fields
    # Numbers were stored before they had to be exact: those that stay as they are may.
    changed = {
        name: value
        for name, value in entity.fields.items()
        if name not in before or repr(before[name]) != repr(value)
    }
    problems = [
        Problem(f"/fields{pointer}", InvalidFields.code, detail)
        for pointer, detail in unstorable_in(changed)
    ]
    if problems:
        raise InvalidFields(problems[0].detail, problems=problems)


def refuse_subscription(subscription: Any, known: Iterable[str]) -> None:
    """Raises ``UnfitSubscription`` unless it names events, all of them among ``known``."""
    events, names = subscription.events, ", ".join(known)
    detail = ""
    if not isinstance(events, list) or not events:
        detail = f"Name at least one event, of: {names}."
    elif wrong := [name for name in events if name not in list(known)]:
        detail = f"{quoted(wrong[0])} is no event; known are: {names}."
    if detail:
        problem = Problem("/events", UnfitSubscription.code, detail)
        raise UnfitSubscription(detail, problems=[problem])


def explain_entity_edit(entity: Any) -> None:
    """``refuse_entity_edit`` for a form: the refusal stands on the type."""
    try:
        refuse_entity_edit(entity)
    except EntityInUse as refusal:
        field = "entity_name_type" if entity.entity_name == "Finding" else "primary_record_type"
        raise ValidationError({field: refusal}) from None


def refuse_frozen(row: Any, frozen: Sequence[str], update_fields: Iterable[str] | None) -> None:
    """Raises ``ExecutionFrozen`` when a field that is written once would change, or a status
    that is final.
    """
    stored = _stored(row)
    if stored is None:
        return
    written = None if update_fields is None else set(update_fields)

    def changed(name: str) -> bool:
        if written is not None and not {name, name.removesuffix("_id")} & written:
            return False
        return bool(getattr(row, name) != getattr(stored, name))

    names = [name.removesuffix("_id") for name in frozen if changed(name)]
    if names:
        raise ExecutionFrozen(
            f"The {row._meta.verbose_name} is written once: {', '.join(names)} cannot be changed."
        )
    final = hasattr(stored, "status") and not stored.live
    if final and changed("status"):
        raise Ended(f"Execution {row.cuid} is {stored.status}, which is final; start a new one.")


def refuse_bulk_rewrite(row_model: Any, names: Iterable[str]) -> None:
    """Raises ``ExecutionFrozen`` when a bulk statement would write what is written once, or a
    status: only the services open and close steps along with it.
    """
    by_services = {name.removesuffix("_id") for name in row_model.FROZEN} | {"status", "live"}
    written = sorted({name.removesuffix("_id") for name in names} & by_services)
    if written:
        raise ExecutionFrozen(
            f"{', '.join(written)} of the {row_model._meta.verbose_name} cannot be changed in "
            "bulk: start, submit and cancel executions with executions.services."
        )


def refuse_execution_deletion(execution: Any) -> None:
    """Raises ``ExecutionLive`` for an execution whose tree still has something to do."""
    stored = _stored(execution)
    root = stored.root if stored is not None and stored.root_id else stored
    if root is not None and (stored.live or root.live):
        raise ExecutionLive(
            f"Execution {execution.cuid} belongs to one that is {root.status} and cannot be "
            "deleted; cancel that one first."
        )


def refuse_step_edit(step: Any) -> None:
    """Raises ``ExecutionFrozen`` when an open step would be closed past the services."""
    stored = _stored(step)
    if stored is not None and stored.is_open and not step.is_open and stored.execution.live:
        raise ExecutionFrozen(
            f"Step “{stored.node_id}” is where execution {stored.execution} stands: it is closed "
            "by submitting it or by cancelling the execution."
        )


def refuse_step_deletion(step: Any, origin: Any) -> None:
    """Raises ``ExecutionFrozen`` when a step would go without its execution."""
    deleted = getattr(origin, "model", None) or type(origin)
    if deleted is type(step):
        raise ExecutionFrozen("A step goes only with its execution: it is the history.")


def refuse_pin_deletion(pin: Any, origin: Any) -> None:
    """Raises ``ExecutionFrozen`` when a pin would go without its execution."""
    deleted = getattr(origin, "model", None) or type(origin)
    if deleted is type(pin):
        raise ExecutionFrozen("A pin goes only with its execution.")


def refuse_start(
    workflow: Any, entity: Any, closure: Sequence[Any], waiting: Sequence[Any] = ()
) -> None:
    """Judge the start of a root.

    Args:
        closure: the latest version of all that it can call, its own first, each with its
            workflow.
        waiting: the memberships of these workflows in changes on hold.

    Raises:
        workflows.guards.Draining: a change of finding type waits until they are drained.
        NotStartable: one of the workflows is not active, or the versions do not agree.
        EntityTypeMismatch: the entity has another context than the workflow.
    """
    refuse_draining(waiting)
    inactive = [row.workflow for row in closure if row.workflow.state != "active"]
    if inactive:
        raise NotStartable(
            "; ".join(
                f"Workflow “{row.title}” is {'a draft' if row.state == 'draft' else row.state}"
                for row in inactive
            )
            + ": only active workflows can be started or called by a start.",
            blockers=Blockers(
                (), [BlockingWorkflow(row.cuid, row.title) for row in inactive], len(inactive)
            ),
            remedies=[
                Remedy("activate", "Make these workflows active.", [row.cuid for row in inactive])
            ],
        )
    key = closure[0].context_key
    torn = [row for row in closure if row.context_key != key or not row.in_force]
    if torn:
        raise NotStartable(
            "The workflow and what it calls do not agree in their finding type: "
            + ", ".join(str(row) for row in torn)
            + ". Save their graphs again, or change their finding types together.",
            blockers=Blockers(
                (),
                [BlockingWorkflow(row.workflow.cuid, row.workflow.title) for row in torn],
                len(torn),
            ),
        )
    if entity.context_key != key:
        raise EntityTypeMismatch(
            f"“{entity}” is of the type “{entity.context_type}”, but workflow "
            f"“{workflow.title}” works on “{workflow.context_type}”.",
            problems=[
                Problem(
                    "/entity",
                    EntityTypeMismatch.code,
                    f"The entity has type '{entity.described_context().type_cuid}', the workflow "
                    f"'{workflow.described_context().type_cuid}'.",
                )
            ],
        )
