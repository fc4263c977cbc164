"""Merging two finding types: what was of the one is of the other, and the one is gone.

All or nothing. Workflows change as any group does, so live executions refuse it; findings move
along; stored versions are written anew in the other type, with another checksum, row by row
through their seals. What has ended keeps the context that it was told to have begun with.

Locks: findings by id, then workflows and versions as every editor takes them: a start takes the
entity first too.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from executions.models import Entity, Finding, Subscription
from workflows import guards
from workflows.audit.log import Action, attempting, record, told
from workflows.db import locks
from workflows.editing import resolve_context
from workflows.editing.context_edit import ContextChange, change_together
from workflows.guards.database_errors import translated
from workflows.models import (
    FindingType,
    PendingChange,
    SavedFilter,
    Version,
    Workflow,
    unsealed,
)
from workflows.refusals import Blockers, BlockingWorkflow, Remedy

DB = "default"


class SameType(guards.Refusal):
    message = _("A type cannot be merged into itself.")
    code = "same_type"


@dataclass(frozen=True, slots=True)
class Merged:
    """What has moved: workflows, findings, and the versions that were written anew."""

    workflows: int
    findings: int
    versions: int


def merge_finding_types(
    source: FindingType,
    target: FindingType,
    *,
    by: Any = None,
    why: str = "",
    dry_run: bool = False,
) -> Merged:
    """Move all that is of one finding type to another, and delete the one.

    Raises:
        SameType: both are the same.
        workflows.guards.ActiveExecutions, DependentActiveExecutions,
        IncompatibleEntityTypes, TriggerTaken: as a change of entity context of all of its
            workflows together.
        workflows.guards.Draining: a change on hold leads to it.
        workflows.guards.Gone: one of the types has been deleted.
    """
    if source.pk == target.pk:
        raise SameType
    after = {"finding type": target.cuid}
    attempt = told(
        source, Action.DELETED, before={"name": source.name}, after=after, why=why, by=by
    )
    if dry_run:
        return _merge(source, target, by, why, dry_run=True)
    with attempting(lambda: [attempt], using=DB):
        return _merge(source, target, by, why)


@translated
@locks.retrying
def _merge(
    source: FindingType, target: FindingType, by: Any, why: str, *, dry_run: bool = False
) -> Merged:
    workflows = Workflow._base_manager.filter(entity_name_type=source)
    findings = Entity._base_manager.filter(entity_name_type=source)
    versions = Version._base_manager.filter(entity_name_type=source)
    context = resolve_context(entity_name_type=target)
    _refuse_on_hold(source)
    ContextChange(list(workflows), context, DB).judge()
    if dry_run:
        return Merged(workflows.count(), findings.count(), versions.count())
    try:
        with transaction.atomic():
            return _move(source, target, by, why)
    except IntegrityError as error:
        # Something of the type was made meanwhile: it is to move along.
        if workflows.exists() or findings.exists():
            raise locks.TryAgain from error
        raise


def _move(source: FindingType, target: FindingType, by: Any, why: str) -> Merged:
    locks.limit_wait(DB)
    findings = Entity._base_manager.filter(entity_name_type=source)
    ids = list(findings.order_by().values_list("pk", flat=True))
    locks.lock_rows(Entity._base_manager.all(), ids, locks.Strength.UPDATE)
    types = FindingType._base_manager.filter(pk__in=[source.pk, target.pk])
    if types.count() < 2:
        raise guards.Gone("One of the types has been deleted.")
    rows = Workflow._base_manager.filter(entity_name_type=source).order_by("pk")
    workflows = list(rows.values_list("pk", flat=True))
    versions = Version._base_manager.filter(entity_name_type=source).count()
    reason = why or f"“{source}” is merged into “{target}”."
    context = resolve_context(entity_name_type=target)
    if workflows:
        change_together(workflows, context, DB, by=by, why=reason)
    _refuse_on_hold(source)
    # Those that execute on them are of these workflows, and were judged with them.
    moved = Finding.objects.filter(pk__in=ids).update(entity_name_type=target) if ids else 0
    _write_versions_anew(source, target)
    settled = PendingChange.objects.filter(entity_name_type=source)
    settled.update(entity_name_type=target)
    Subscription.objects.filter(entity_name_type=source).update(entity_name_type=target)
    SavedFilter.objects.merge_types(source.pk, target.pk)
    record(
        [
            told(
                target,
                Action.CHANGED,
                before={"merged": source.cuid, "name": source.name},
                after={"workflows": len(workflows), "findings": moved, "versions": versions},
                why=reason,
                by=by,
            )
        ],
        using=DB,
    )
    types.get(pk=source.pk).delete()
    return Merged(len(workflows), moved, versions)


def _write_versions_anew(source: FindingType, target: FindingType) -> None:
    rows = Version._base_manager.filter(entity_name_type=source).order_by("pk")
    ids = list(rows.values_list("pk", flat=True))
    locks.lock_rows(Version._base_manager.all(), ids, locks.Strength.UPDATE)
    for pk in ids:
        version = Version._base_manager.get(pk=pk)
        # What was a version of a retired workflow may be in force still.
        Version._base_manager.filter(pk=pk, in_force=True).update(in_force=False)
        version.entity_name_type = target
        values = {"entity_name_type": target, "checksum": version.compute_checksum()}
        with ExitStack() as opened:
            # Their references have the context by a key that follows the version's.
            for row in [version, *version.references.all()]:
                opened.enter_context(unsealed(row, why="merge of finding types"))
            Version._base_manager.filter(pk=pk).update(**values)


def _refuse_on_hold(source: FindingType) -> None:
    waiting = PendingChange.objects.filter(
        entity_name_type=source, state=PendingChange.State.WAITING
    ).prefetch_related("members")
    rows = list(waiting)
    if not rows:
        return
    members = [member for row in rows for member in row.members.all()]
    raise guards.Draining(
        f"A change to “{source}” is on hold: {', '.join(row.cuid for row in rows)}.",
        blockers=Blockers(
            (), [BlockingWorkflow(row.cuid, row.title) for row in members], len(members)
        ),
        remedies=[
            Remedy(
                "withdraw",
                "Withdraw it first: manage.py pending_changes --withdraw "
                + ", ".join(row.cuid for row in rows)
                + ".",
                sorted({row.cuid for row in members}),
            )
        ],
    )
