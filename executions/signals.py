"""Signal receivers: they connect the models to the guards and to the audit log."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.dispatch import receiver

from executions import guards, services
from executions.models import (
    Closure,
    ClosureMember,
    Comment,
    Entity,
    Execution,
    Finding,
    FormFile,
    InventoryModel,
    Secret,
    Step,
    Subscription,
    delete_unused_closures,
    secrets_written,
)
from executions.models.entity import entities_written
from executions.services.assigned_accounts import cascade_of, refuse_people_deletion
from executions.webhooks import subscriptions
from workflows.audit.audited_model import deletion_attempt
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.models import Candidate, Version, Workflow
from workflows.models.account_names import store_account_name
from workflows.models.candidate import step_key
from workflows.refusals import Refusal

_CASCADE = "_deletion_cascade"


@receiver(pre_save, sender=Entity)
@receiver(pre_save, sender=Finding)
@receiver(pre_save, sender=InventoryModel)
def check_entity(instance: Entity, raw: bool, update_fields: Any, **kwargs: Any) -> None:
    """Refuse a change of context while live executions work on the entity."""
    if not raw and instance.pk:
        guards.refuse_entity_edit(instance, update_fields)


@receiver(entities_written)
def start_triggered_workflows(written: Any, **kwargs: Any) -> None:
    """Start the workflows whose trigger is the creation or change of these entities."""
    services.queue_triggered_starts(written)


@receiver(post_save, sender=Workflow)
def set_schedule(instance: Workflow, raw: bool, **kwargs: Any) -> None:
    """Follow the trigger and the state of a workflow with its schedule."""
    if not raw:
        services.align_schedule(instance.pk)


@receiver(pre_delete, sender=Entity)
@receiver(pre_delete, sender=Finding)
@receiver(pre_delete, sender=InventoryModel)
def check_entity_deletion(instance: Entity, **kwargs: Any) -> None:
    """Refuse the deletion of an entity with executions, and record the refusal."""
    with recording_refusals(lambda: [deletion_attempt(instance)]):
        instance.refuse_deletion()


@receiver(pre_delete, sender=Secret)
def check_secret_deletion(instance: Secret, **kwargs: Any) -> None:
    """Refuse the deletion of a secret in use, and record the refusal."""
    with recording_refusals(lambda: [deletion_attempt(instance)]):
        services.refuse_secret_deletion(instance)


@receiver(secrets_written)
def check_secret_names(written: Any, **kwargs: Any) -> None:
    """Refuse renaming a secret in use."""
    services.refuse_secret_renaming(written)


@receiver(post_delete, sender=Entity)
@receiver(post_delete, sender=Finding)
@receiver(post_delete, sender=InventoryModel)
@receiver(post_delete, sender=Secret)
@receiver(post_delete, sender=Subscription)
def record_deletion(instance: Entity | Secret | Subscription, **kwargs: Any) -> None:
    """Record the deletion in the audit log, with the values of the row."""
    record([deletion_attempt(instance)])


@receiver(post_delete, sender=Execution)
def record_execution_deletion(instance: Execution, **kwargs: Any) -> None:
    """Record the deletion of a tree of executions once, by its root; delete its closure if no
    other execution uses that.
    """
    if instance.root_id is None:
        record([deletion_attempt(instance)])
    if instance.closure_id is not None:
        delete_unused_closures(Closure.objects.filter(pk=instance.closure_id))


@receiver(pre_delete, sender=Version)
def delete_closures_of_version(instance: Version, **kwargs: Any) -> None:
    """Delete the closures with this version that no execution uses."""
    delete_unused_closures(
        Closure.objects.filter(Q(version=instance.pk) | Q(members__version=instance.pk)).distinct()
    )


@receiver(pre_save, sender=Execution)
@receiver(pre_save, sender=Closure)
@receiver(pre_save, sender=ClosureMember)
@receiver(pre_save, sender=Comment)
@receiver(pre_save, sender=FormFile)
def check_frozen_fields(
    sender: Any,
    instance: Execution | Closure | ClosureMember | Comment | FormFile,
    raw: bool,
    update_fields: Any,
    **kwargs: Any,
) -> None:
    """Refuse changes of frozen fields and of a final status."""
    if not raw and instance.pk:
        guards.refuse_rewrite(instance, sender.FROZEN, update_fields)
    elif not raw and isinstance(instance, ClosureMember):
        guards.refuse_new_member(instance)


@receiver(pre_delete, sender=Execution)
def check_execution_deletion(instance: Execution, **kwargs: Any) -> None:
    """Refuse the deletion of a live execution."""
    guards.refuse_execution_deletion(instance)


@receiver(pre_save, sender=Step)
def check_step(instance: Step, raw: bool, **kwargs: Any) -> None:
    """Refuse closing an open step without the services."""
    if not raw and instance.pk:
        guards.refuse_step_edit(instance)


@receiver(pre_delete, sender=Step)
def check_step_deletion(instance: Step, **kwargs: Any) -> None:
    """Refuse deleting a step without its execution."""
    guards.refuse_step_deletion(instance, kwargs.get("origin"))


@receiver(post_delete, sender=Step)
def delete_own_candidates(instance: Step, **kwargs: Any) -> None:
    """Delete the candidates of a reassigned step."""
    key = step_key(instance.cuid)
    if instance.assignees == key:
        Candidate._base_manager.filter(key=key).delete()


@receiver(pre_delete, sender=Comment)
def check_comment_deletion(instance: Comment, **kwargs: Any) -> None:
    """Refuse deleting a comment without its execution."""
    guards.refuse_comment_deletion(instance, kwargs.get("origin"))


@receiver(pre_delete, sender=FormFile)
def check_file_deletion(instance: FormFile, **kwargs: Any) -> None:
    """Refuse deleting a file without its execution."""
    guards.refuse_file_deletion(instance, kwargs.get("origin"))


@receiver(pre_delete, sender=Closure)
def check_closure_deletion(instance: Closure, **kwargs: Any) -> None:
    """Refuse deleting a closure that an execution uses."""
    guards.refuse_closure_deletion(instance)


@receiver(pre_delete, sender=ClosureMember)
def check_pin_deletion(instance: ClosureMember, **kwargs: Any) -> None:
    """Refuse deleting a pin without its closure."""
    guards.refuse_pin_deletion(instance, kwargs.get("origin"))


@receiver(pre_save, sender=Subscription)
def check_subscription_url(
    instance: Subscription, raw: bool, update_fields: Any, **kwargs: Any
) -> None:
    """Refuse an address that requests are not allowed to."""
    if not raw and (update_fields is None or "url" in update_fields):
        subscriptions.refuse_url(instance.url)


@receiver(pre_delete, sender=Group)
@receiver(pre_delete, sender=get_user_model())
def check_people_deletion(instance: Any, origin: Any = None, **kwargs: Any) -> None:
    """Refuse the deletion of the last assignees of an open step."""
    together = {instance.pk}
    if isinstance(origin, QuerySet) and origin.model is type(instance):
        together |= set(origin.values_list("pk", flat=True))
    attempt = make_attempt(instance, Action.DELETED, before=cascade_of(instance))
    try:
        refuse_people_deletion(instance, together)
    except Refusal as refusal:
        # The interface records the attempt: this transaction is rolled back.
        refusal.attempts = [attempt]
        raise
    # Stored now: the memberships are gone when the deletion is recorded.
    instance.__dict__[_CASCADE] = attempt
    if not isinstance(instance, Group):
        store_account_name(instance)


@receiver(post_delete, sender=Group)
@receiver(post_delete, sender=get_user_model())
def record_people_deletion(instance: Any, **kwargs: Any) -> None:
    """Record the deletion in the audit log, with its memberships and candidates."""
    attempt = instance.__dict__.pop(_CASCADE, None)
    if attempt is not None:
        record([attempt])
