"""Where the models ask the guards and tell the audit log: the connections, and nothing else."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.db.models.signals import post_delete, pre_delete, pre_save
from django.dispatch import receiver

from executions import guards, services
from executions.models import (
    Entity,
    Execution,
    Finding,
    InventoryModel,
    Pin,
    Secret,
    Step,
    Subscription,
    secrets_written,
)
from executions.models.entity import entities_written
from executions.services.assigned_accounts import cascade_of, refuse_people_deletion
from executions.webhooks import subscriptions
from workflows.audit.audited_model import deleted
from workflows.audit.log import Action, attempting, record, told
from workflows.models import Candidate
from workflows.models.account_names import keep_name
from workflows.models.candidate import step_key
from workflows.refusals import Refusal

_CASCADE = "_deletion_cascade"


@receiver(pre_save, sender=Entity)
@receiver(pre_save, sender=Finding)
@receiver(pre_save, sender=InventoryModel)
def judge_entity(instance: Entity, raw: bool, update_fields: Any, **kwargs: Any) -> None:
    """The context of an entity is not changed under a live execution."""
    if not raw and instance.pk:
        guards.refuse_entity_edit(instance, update_fields)


@receiver(entities_written)
def note_what_it_sets_off(written: Any, using: str, **kwargs: Any) -> None:
    """An entity that is created, or whose fields change, starts what waits for that."""
    services.set_off(written, using)


@receiver(pre_delete, sender=Entity)
@receiver(pre_delete, sender=Finding)
@receiver(pre_delete, sender=InventoryModel)
def judge_entity_deletion(instance: Entity, using: str, **kwargs: Any) -> None:
    """An entity that an execution is of stays."""
    with attempting(lambda: [deleted(instance)], using=using):
        instance.refuse_deletion()


@receiver(pre_delete, sender=Secret)
def judge_secret_deletion(instance: Secret, using: str, **kwargs: Any) -> None:
    """A secret that something live uses stays."""
    with attempting(lambda: [deleted(instance)], using=using):
        services.refuse_secret_deletion(instance)


@receiver(secrets_written)
def judge_secret_names(written: Any, **kwargs: Any) -> None:
    """A secret that something live uses keeps its name."""
    services.refuse_secret_renaming(written)


@receiver(post_delete, sender=Entity)
@receiver(post_delete, sender=Finding)
@receiver(post_delete, sender=InventoryModel)
@receiver(post_delete, sender=Secret)
@receiver(post_delete, sender=Subscription)
def record_deletion(instance: Entity | Secret | Subscription, using: str, **kwargs: Any) -> None:
    """What is deleted is in the audit log, with all that it was."""
    record([deleted(instance)], using=using)


@receiver(post_delete, sender=Execution)
def record_execution_deletion(instance: Execution, using: str, **kwargs: Any) -> None:
    """History that is taken away is told of, once for a whole tree."""
    if instance.root_id is None:
        record([deleted(instance)], using=using)


@receiver(pre_save, sender=Execution)
@receiver(pre_save, sender=Pin)
def keep_what_it_started_with(
    sender: Any, instance: Execution | Pin, raw: bool, update_fields: Any, **kwargs: Any
) -> None:
    """What an execution started with is written once, and a terminal status is final."""
    if not raw and instance.pk:
        guards.refuse_frozen(instance, sender.FROZEN, update_fields)


@receiver(pre_delete, sender=Execution)
def judge_execution_deletion(instance: Execution, **kwargs: Any) -> None:
    """A live execution is not deleted."""
    guards.refuse_execution_deletion(instance)


@receiver(pre_save, sender=Step)
def judge_step(instance: Step, raw: bool, **kwargs: Any) -> None:
    """An open step is closed by the services."""
    if not raw and instance.pk:
        guards.refuse_step_edit(instance)


@receiver(pre_delete, sender=Step)
def judge_step_deletion(instance: Step, **kwargs: Any) -> None:
    """A step goes only with its execution."""
    guards.refuse_step_deletion(instance, kwargs.get("origin"))


@receiver(post_delete, sender=Step)
def delete_own_candidates(instance: Step, using: str, **kwargs: Any) -> None:
    """The candidates of a reassigned step go with it."""
    key = step_key(instance.cuid)
    if instance.assignees == key:
        Candidate._base_manager.using(using).filter(key=key).delete()


@receiver(pre_delete, sender=Pin)
def judge_pin_deletion(instance: Pin, **kwargs: Any) -> None:
    """A pin goes only with its execution."""
    guards.refuse_pin_deletion(instance, kwargs.get("origin"))


@receiver(pre_save, sender=Subscription)
def judge_subscription(
    instance: Subscription, raw: bool, update_fields: Any, **kwargs: Any
) -> None:
    """Nothing is told to an address that nothing may be sent to."""
    if not raw and (update_fields is None or "url" in update_fields):
        subscriptions.refuse_url(instance.url)


@receiver(pre_delete, sender=Group)
@receiver(pre_delete, sender=get_user_model())
def judge_people_deletion(instance: Any, using: str, origin: Any = None, **kwargs: Any) -> None:
    """A group or user that an open step asks stays, unless others can do the step."""
    together = {instance.pk}
    if isinstance(origin, QuerySet) and origin.model is type(instance):
        together |= set(origin.values_list("pk", flat=True))
    attempt = told(instance, Action.DELETED, before=cascade_of(instance))
    try:
        refuse_people_deletion(instance, together)
    except Refusal as refusal:
        # Recorded by the interface: the transaction of the deletion is rolled back.
        refusal.attempts = [attempt]
        raise
    # Read now: when the deletion is recorded, the memberships are gone.
    instance.__dict__[_CASCADE] = attempt
    if not isinstance(instance, Group):
        keep_name(instance, using)


@receiver(post_delete, sender=Group)
@receiver(post_delete, sender=get_user_model())
def record_people_deletion(instance: Any, using: str, **kwargs: Any) -> None:
    """The audit log tells which memberships and candidates went along."""
    attempt = instance.__dict__.pop(_CASCADE, None)
    if attempt is not None:
        record([attempt], using=using)
