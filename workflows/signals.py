"""Where the models ask the guards and tell the audit log: the connections, and nothing else."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.dispatch import receiver

from workflows import guards
from workflows.audit.audited_model import deletion_attempt
from workflows.audit.log import record, recording_refusals
from workflows.editing.save_workflow import WorkflowEdit
from workflows.models import (
    AuditCounter,
    AuditEntry,
    FindingType,
    RecordType,
    Reference,
    Version,
    Workflow,
)
from workflows.models.candidate import link_account
from workflows.models.version import read_stored


@receiver(pre_save, sender=Workflow)
def judge_workflow(instance: Workflow, raw: bool, update_fields: Any, **kwargs: Any) -> None:
    """A save of a workflow that is there already is judged, whoever calls it."""
    if raw or instance._is_judged:
        return
    edit = WorkflowEdit.read(instance, update_fields)
    if edit is not None:
        edit.judge()
        edit.release_versions()


@receiver(pre_save, sender=Version)
def keep_what_is_written_once(instance: Version, raw: bool, **kwargs: Any) -> None:
    """A version is written once."""
    if not raw:
        guards.refuse_rewrite(instance, read_stored(instance), Version.FROZEN)


@receiver(pre_save, sender=Reference)
def judge_reference(instance: Reference, raw: bool, **kwargs: Any) -> None:
    """A reference is written once, for a call that its version's graph makes."""
    if not raw:
        instance.refuse_writing()


@receiver(pre_delete, sender=FindingType)
@receiver(pre_delete, sender=RecordType)
def judge_type_deletion(instance: FindingType | RecordType, **kwargs: Any) -> None:
    """A type that anything uses stays."""
    with recording_refusals(lambda: [deletion_attempt(instance)]):
        guards.refuse_type_deletion(instance)


@receiver(pre_delete, sender=Workflow)
def judge_workflow_deletion(instance: Workflow, **kwargs: Any) -> None:
    """A workflow that is called, or that something ran on, stays."""
    with recording_refusals(lambda: [deletion_attempt(instance)]):
        instance.refuse_deletion()


@receiver(pre_delete, sender=Version)
def judge_version_deletion(instance: Version, **kwargs: Any) -> None:
    """A version that an execution or a pin has stays."""
    instance.refuse_deletion(kwargs.get("origin"))


@receiver(pre_delete, sender=Reference)
def judge_reference_deletion(instance: Reference, **kwargs: Any) -> None:
    """A reference goes only with its version."""
    guards.refuse_reference_deletion(instance, kwargs.get("origin"))


@receiver(post_delete, sender=FindingType)
@receiver(post_delete, sender=RecordType)
@receiver(post_delete, sender=Workflow)
def record_deletion(instance: FindingType | RecordType | Workflow, **kwargs: Any) -> None:
    """What is deleted is in the audit log, with all that it was."""
    record([deletion_attempt(instance)])


@receiver(post_delete, sender=Version)
def record_version_deletion(instance: Version, origin: Any, **kwargs: Any) -> None:
    """A version that goes by itself is told of; with its workflow, the workflow is."""
    if (getattr(origin, "model", None) or type(origin)) is Version:
        record([deletion_attempt(instance)])


@receiver(pre_save, sender=AuditEntry)
def keep_the_log(instance: AuditEntry, raw: bool, **kwargs: Any) -> None:
    """An entry is written once."""
    if not raw and AuditEntry.objects.filter(pk=instance.pk).exists():
        raise guards.AuditLogImmutable


@receiver(pre_delete, sender=AuditEntry)
@receiver(pre_delete, sender=AuditCounter)
def keep_the_entries(**kwargs: Any) -> None:
    """The log only grows."""
    raise guards.AuditLogImmutable


@receiver(post_save, sender=Group)
@receiver(post_save, sender=get_user_model())
def give_account_to_candidates(instance: Any, raw: bool, update_fields: Any, **kwargs: Any) -> None:
    """A group or user whose name a version has been waiting for is asked from now on."""
    name = "name" if isinstance(instance, Group) else get_user_model().USERNAME_FIELD
    if not raw and (update_fields is None or name in update_fields):
        link_account(instance)
