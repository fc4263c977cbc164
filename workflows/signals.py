"""Where the models ask the guards: the connections, and nothing else."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import pre_delete, pre_save
from django.dispatch import receiver

from workflows import guards
from workflows.models import FindingType, RecordType, Reference, Version, Workflow
from workflows.models.edit import WorkflowEdit


@receiver(pre_save, sender=Workflow)
def judge_workflow(
    instance: Workflow, raw: bool, using: str, update_fields: Any, **kwargs: Any
) -> None:
    """A save of a workflow that is there already is judged, whoever calls it."""
    if raw:
        return
    edit = instance._edit
    if edit is None and instance.pk:
        stored = WorkflowEdit.stored(instance.pk, using)
        edit = WorkflowEdit(instance, stored, using, update_fields) if stored else None
    if edit is not None:
        edit.enforce()


@receiver(pre_save, sender=Version)
@receiver(pre_save, sender=Reference)
def keep_what_is_written_once(
    sender: Any, instance: Version | Reference, raw: bool, using: str, **kwargs: Any
) -> None:
    """A version and its references are written once."""
    if raw or not instance.pk:
        return
    stored = sender._base_manager.using(using).filter(pk=instance.pk).first()
    if stored is not None:
        guards.refuse_rewrite(instance, stored, sender.FROZEN)


@receiver(pre_delete, sender=FindingType)
@receiver(pre_delete, sender=RecordType)
def judge_type_deletion(instance: FindingType | RecordType, **kwargs: Any) -> None:
    """A type that anything uses stays."""
    guards.refuse_type_deletion(instance)


@receiver(pre_delete, sender=Workflow)
def judge_workflow_deletion(instance: Workflow, **kwargs: Any) -> None:
    """A workflow that is called, or that something ran on, stays."""
    instance.refuse_deletion()


@receiver(pre_delete, sender=Version)
def judge_version_deletion(instance: Version, **kwargs: Any) -> None:
    """A version that an execution or a pin has stays."""
    instance.refuse_deletion(kwargs.get("origin"))


@receiver(pre_delete, sender=Reference)
def judge_reference_deletion(instance: Reference, **kwargs: Any) -> None:
    """A reference goes only with its version."""
    guards.refuse_reference_deletion(instance, kwargs.get("origin"))
