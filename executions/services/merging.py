"""Merging one finding type into another, all or nothing.

The workflows change their entity context together, so that live executions refuse it. The findings
get the other type. Stored versions are rewritten in the other type with a new checksum; each row is
unsealed for it. Ended executions keep the entity context that they started with.

The locks are: findings by id, then workflows and versions as every editor takes them. A start
locks the entity first too.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from executions.models import Entity, Finding, Subscription
from workflows import guards
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.db import locks
from workflows.editing import resolve_context
from workflows.editing.context_change import ContextChange, change_together
from workflows.guards.database_errors import translate_database_errors
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
    """The numbers of changed workflows and findings, and of rewritten versions."""

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
    """Give everything of the type ``source`` the type ``target``, and delete ``source``.

    Args:
        dry_run: check and count, and change nothing.

    Raises:
        SameType: both are the same.
        workflows.guards.ActiveExecutions, DependentActiveExecutions,
        IncompatibleEntityTypes, TriggerTaken: as for a change of entity context of all its
            workflows together.
        workflows.guards.Draining: a change on hold leads to ``source``.
        workflows.guards.RowDeleted: one of the types has been deleted.
    """
    if source.pk == target.pk:
        raise SameType
    after = {"finding type": target.cuid}
    attempt = make_attempt(
        source, Action.DELETED, before={"name": source.name}, after=after, why=why, by=by
    )
    if dry_run:
        return _merge(source, target, by, why, dry_run=True)
    with recording_refusals(lambda: [attempt]):
        return _merge(source, target, by, why)


@translate_database_errors
@locks.retrying
def _merge(
    source: FindingType, target: FindingType, by: Any, why: str, *, dry_run: bool = False
) -> Merged:
    workflows = Workflow._base_manager.filter(entity_name_type=source)
    findings = Entity._base_manager.filter(entity_name_type=source)
    versions = Version._base_manager.filter(entity_name_type=source)
    context = resolve_context(entity_name_type=target)
    _refuse_on_hold(source)
    ContextChange(list(workflows), context).judge()
    if dry_run:
        return Merged(workflows.count(), findings.count(), versions.count())
    try:
        with transaction.atomic():
            return _move(source, target, by, why)
    except IntegrityError as error:
        # A row of the type was created meanwhile: the next attempt includes it.
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
        raise guards.RowDeleted("One of the types has been deleted.")
    rows = Workflow._base_manager.filter(entity_name_type=source).order_by("pk")
    workflows = list(rows.values_list("pk", flat=True))
    versions = Version._base_manager.filter(entity_name_type=source).count()
    reason = why or f"“{source}” is merged into “{target}”."
    context = resolve_context(entity_name_type=target)
    if workflows:
        change_together(workflows, context, by=by, why=reason)
    _refuse_on_hold(source)
    # The executions on these findings are of these workflows, and were checked with them.
    moved = Finding.objects.filter(pk__in=ids).update(entity_name_type=target) if ids else 0
    _rewrite_versions(source, target)
    ended = PendingChange.objects.filter(entity_name_type=source)
    ended.update(entity_name_type=target)
    Subscription.objects.filter(entity_name_type=source).update(entity_name_type=target)
    SavedFilter.objects.merge_types(source.pk, target.pk)
    record(
        [
            make_attempt(
                target,
                Action.CHANGED,
                before={"merged": source.cuid, "name": source.name},
                after={"workflows": len(workflows), "findings": moved, "versions": versions},
                why=reason,
                by=by,
            )
        ],
    )
    types.get(pk=source.pk).delete()
    return Merged(len(workflows), moved, versions)


def _rewrite_versions(source: FindingType, target: FindingType) -> None:
    rows = Version._base_manager.filter(entity_name_type=source).order_by("pk")
    ids = list(rows.values_list("pk", flat=True))
    locks.lock_rows(Version._base_manager.all(), ids, locks.Strength.UPDATE)
    for pk in ids:
        version = Version._base_manager.get(pk=pk)
        # A version of a retired workflow may still be in force.
        Version._base_manager.filter(pk=pk, in_force=True).update(in_force=False)
        version.entity_name_type = target
        values = {"entity_name_type": target, "checksum": version.compute_checksum()}
        with ExitStack() as opened:
            # A composite key copies the new context to the references.
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
                "Withdraw the change first: manage.py pending_changes --withdraw "
                + ", ".join(row.cuid for row in rows)
                + ".",
                sorted({row.cuid for row in members}),
            )
        ],
    )
