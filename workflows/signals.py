"""Receivers that call the guards and the audit log; they contain no rules."""

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
    """Judge a save that bypasses ``Workflow.save()``, such as ``save_base()``."""
    if raw or instance._is_checked:
        return
    edit = WorkflowEdit.read(instance, update_fields)
    if edit is not None:
        edit.judge()
        edit.release_versions()


@receiver(pre_save, sender=Version)
def refuse_version_rewrite(instance: Version, raw: bool, **kwargs: Any) -> None:
    """Refuse to rewrite a version."""
    if not raw:
        guards.refuse_rewrite(instance, read_stored(instance), Version.FROZEN)


@receiver(pre_save, sender=Reference)
def judge_reference(instance: Reference, raw: bool, **kwargs: Any) -> None:
    """Refuse to rewrite a reference, or to add one that the graph does not have."""
    if not raw:
        instance.refuse_writing()


@receiver(pre_delete, sender=FindingType)
@receiver(pre_delete, sender=RecordType)
def judge_type_deletion(instance: FindingType | RecordType, **kwargs: Any) -> None:
    """Refuse to delete a type in use, and record the refusal."""
    with recording_refusals(lambda: [deletion_attempt(instance)]):
        guards.refuse_type_deletion(instance)


@receiver(pre_delete, sender=Workflow)
def judge_workflow_deletion(instance: Workflow, **kwargs: Any) -> None:
    """Refuse to delete a workflow with callers or executions, and record the refusal."""
    with recording_refusals(lambda: [deletion_attempt(instance)]):
        instance.refuse_deletion()


@receiver(pre_delete, sender=Version)
def judge_version_deletion(instance: Version, **kwargs: Any) -> None:
    """Refuse to delete a version in use."""
    instance.refuse_deletion(kwargs.get("origin"))


@receiver(pre_delete, sender=Reference)
def judge_reference_deletion(instance: Reference, **kwargs: Any) -> None:
    """Refuse to delete a reference without its version."""
    guards.refuse_reference_deletion(instance, kwargs.get("origin"))


@receiver(post_delete, sender=FindingType)
@receiver(post_delete, sender=RecordType)
@receiver(post_delete, sender=Workflow)
def record_deletion(instance: FindingType | RecordType | Workflow, **kwargs: Any) -> None:
    """Record the deletion, with all values of the row."""
    record([deletion_attempt(instance)])


@receiver(post_delete, sender=Version)
def record_version_deletion(instance: Version, origin: Any, **kwargs: Any) -> None:
    """Record the deletion of a version that is not deleted with its workflow."""
    if (getattr(origin, "model", None) or type(origin)) is Version:
        record([deletion_attempt(instance)])


@receiver(pre_save, sender=AuditEntry)
def refuse_audit_rewrite(instance: AuditEntry, raw: bool, **kwargs: Any) -> None:
    """Refuse to rewrite an audit entry."""
    if not raw and AuditEntry.objects.filter(pk=instance.pk).exists():
        raise guards.AuditLogImmutable


@receiver(pre_delete, sender=AuditEntry)
@receiver(pre_delete, sender=AuditCounter)
def refuse_audit_deletion(**kwargs: Any) -> None:
    """Refuse to delete from the audit log."""
    raise guards.AuditLogImmutable


@receiver(post_save, sender=Group)
@receiver(post_save, sender=get_user_model())
def link_account_to_candidates(instance: Any, raw: bool, update_fields: Any, **kwargs: Any) -> None:
    """Link a new or renamed group or user to the candidates that wait for its name."""
    name = "name" if isinstance(instance, Group) else get_user_model().USERNAME_FIELD
    if not raw and (update_fields is None or name in update_fields):
        link_account(instance)
