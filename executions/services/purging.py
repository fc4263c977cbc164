"""Purging: deleting execution trees that ended long ago, in short transactions.

The foreign keys of the models decide about rows that refer to an execution. Rows with CASCADE are
deleted with it, those with SET_NULL lose the reference, and any other row protects the tree. Each
batch locks the roots that no other transaction has locked, checks them again, and deletes. No
workflow, version or entity is locked, so that no start has to wait.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from executions.models import (
    FOR_PEOPLE,
    LIVE,
    Closure,
    Delivery,
    Execution,
    Move,
    Step,
    delete_unused_closures,
)
from executions.services.stored_objects import purge_files, unsubmitted_files
from workflows.audit.log import Action, record
from workflows.db import locks
from workflows.guards import RowDeleted, count
from workflows.models import Candidate, Version
from workflows.models.version import later_versions
from workflows.refusals import Attempt, Refusal

DB = "default"
BATCH = 200
MAX_LISTED = 20
VERSION_BATCH = 100

HAS_LIVE_EXECUTION = "an execution of the tree is live"
IS_LAST = "it is the last execution of its entity"
IS_REFERENCED = "other rows refer to it"
IS_LOCKED = "another transaction has locked it"
IS_DELETED = "it was deleted meanwhile"
IS_USED_VERSION = "an execution runs the version or has pinned it"


@dataclass(slots=True)
class Retained:
    """The rows retained for one reason: their number, and the first cuids."""

    number: int = 0
    cuids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Purged:
    """The numbers of deleted trees, rows and versions, and the retained ones by reason.

    ``uploads`` is the number of deleted files that were not submitted.
    """

    trees: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    versions: int = 0
    uploads: int = 0
    retained: dict[str, Retained] = field(default_factory=dict)

    def retain(self, reason: str, cuid: str) -> None:
        """Count a row that is not deleted."""
        retained = self.retained.setdefault(reason, Retained())
        retained.number += 1
        if len(retained.cuids) < MAX_LISTED:
            retained.cuids.append(cuid)


@dataclass(frozen=True, slots=True)
class Referrer:
    """A model whose rows refer to executions, and the lookup path to the execution."""

    model: Any
    path: str

    def rows(self, ids: list[int]) -> QuerySet[Any]:
        """Return the rows that refer to these executions."""
        found: QuerySet[Any] = self.model._base_manager.filter(**{f"{self.path}__in": ids})
        return found.order_by()


@dataclass(slots=True)
class Plan:
    """The models that refer to executions.

    Attributes:
        deleted: deleted with the execution, the most deeply nested ones first.
        detached: lose the reference.
        protecting: prevent the deletion.
    """

    deleted: list[Referrer] = field(default_factory=list)
    detached: list[Referrer] = field(default_factory=list)
    protecting: list[Referrer] = field(default_factory=list)

    @classmethod
    def read(cls) -> Plan:
        """Return the plan that follows from the foreign keys of the models."""
        plan = cls()
        plan._walk(Execution, "")
        return plan

    def _walk(self, model: Any, above: str) -> None:
        for relation in model._meta.get_fields(include_hidden=True):
            if not relation.auto_created or relation.concrete or relation.many_to_many:
                continue
            if relation.related_model is Execution or relation.related_model._meta.proxy:
                continue
            path = f"{relation.field.name}__{above}" if above else relation.field.name
            referrer = Referrer(relation.related_model, path)
            if relation.on_delete is models.CASCADE:
                self._walk(relation.related_model, path)
                self.deleted.append(referrer)
            elif relation.on_delete is models.SET_NULL:
                # A row that is deleted with the execution needs no update.
                if not above and relation.related_model not in [row.model for row in self.deleted]:
                    self.detached.append(referrer)
            else:
                self.protecting.append(referrer)


def purge(
    before: datetime,
    *,
    done: Purged,
    keep_last: bool = False,
    versions: bool = False,
    batch: int = BATCH,
    dry_run: bool = False,
    rest: float = 1.0,
) -> Iterator[Purged]:
    """Delete the trees that ended before a moment; yield the numbers so far after each batch.

    Args:
        done: the numbers, which are also right after an error or an interruption.
        keep_last: retain the last execution of each entity.
        versions: afterwards delete the superseded versions that nothing uses.
        batch: the number of trees per transaction.
        dry_run: only count, in one snapshot that the caller has opened.
        rest: the pause after each batch, as a multiple of the time that the batch took.
    """
    plan, last = Plan.read(), 0
    while True:
        start = time.monotonic()
        rows = list(_ended(before, keep_last).filter(pk__gt=last)[:batch])
        if not rows:
            break
        last = rows[-1].pk
        _purge_batch(rows, plan, done, before, keep_last, dry_run)
        yield done
        if not dry_run:
            time.sleep(rest * (time.monotonic() - start))
    if versions:
        yield from _purge_versions(done, dry_run)
    # The deleted files of the trees have left their objects to be deleted, too.
    done.uploads = unsubmitted_files().count() if dry_run else purge_files()
    yield done


def _ended(before: datetime, keep_last: bool) -> QuerySet[Any]:
    """Return the roots that ended before a moment, by id, annotated with reasons to retain them."""
    rows = Execution._base_manager
    roots = rows.filter(root=None).exclude(status__in=LIVE)
    live = rows.filter(root=OuterRef("pk"), status__in=LIVE)
    after = rows.filter(entity=OuterRef("entity"), root=None, pk__gt=OuterRef("pk"))
    return (
        roots.annotate(ended=Coalesce("ended_at", "updated_at"), has_live=Exists(live))
        .annotate(is_last=~Exists(after) if keep_last else models.Value(False))
        .filter(ended__lt=before)
        .order_by("pk")
        .only("pk", "cuid")
    )


def _purge_batch(
    rows: list[Any], plan: Plan, done: Purged, before: datetime, keep_last: bool, dry_run: bool
) -> None:
    free = {}
    for row in rows:
        if row.has_live:
            done.retain(HAS_LIVE_EXECUTION, row.cuid)
        elif row.is_last:
            done.retain(IS_LAST, row.cuid)
        else:
            free[row.pk] = row.cuid
    for pk in _protected_roots(list(free), plan):
        done.retain(IS_REFERENCED, free.pop(pk))
    if dry_run:
        ids = _members(list(free))
        _count(done, "execution", len(ids))
        for referrer in plan.deleted:
            _count(done, _name(referrer), referrer.rows(ids).count())
        done.trees += len(free)
    elif free:
        left = set(free) - _delete(list(free), plan, done, before, keep_last)
        existing = set(Execution._base_manager.filter(pk__in=left).values_list("pk", flat=True))
        for pk in sorted(left):
            done.retain(IS_LOCKED if pk in existing else IS_DELETED, free[pk])


def _members(roots: list[int]) -> list[int]:
    below = Execution._base_manager.filter(root_id__in=roots).order_by()
    return [*roots, *below.values_list("pk", flat=True)]


def _protected_roots(roots: list[int], plan: Plan) -> set[int]:
    """Return the roots whose trees are protected from deletion by other rows."""
    found: set[int] = set()
    for referrer in plan.protecting if roots else ():
        name = referrer.path
        rows = referrer.rows(_members(roots)).values_list(f"{name}__root_id", f"{name}_id")
        found |= {root or pk for root, pk in rows}
    return found


@locks.retrying
def _delete(
    roots: list[int], plan: Plan, done: Purged, before: datetime, keep_last: bool
) -> set[int]:
    with transaction.atomic():
        locks.limit_wait(DB)
        rows = Execution._base_manager.all()
        locked = locks.lock_rows(rows, roots, locks.Strength.UPDATE, skip_locked=True)
        still = _ended(before, keep_last).filter(pk__in=locked)
        free = [row for row in still if not row.has_live and not row.is_last]
        protected = _protected_roots([row.pk for row in free], plan)
        deleted = {row.pk: row.cuid for row in free if row.pk not in protected}
        if not deleted:
            return set()
        ids = _members(list(deleted))
        reassigned = Step._base_manager.filter(execution__in=ids, type__in=FOR_PEOPLE)
        candidates = Candidate._base_manager.filter(key__in=reassigned.values("assignees"))
        candidates.exclude(step="")._raw_delete(DB)
        counts = {_name(referrer): referrer.rows(ids)._raw_delete(DB) for referrer in plan.deleted}
        _complete_deliveries(ids)
        for referrer in plan.detached:
            referrer.rows(ids).update(**{referrer.path: None})
        roots_of = Execution._base_manager.filter(pk__in=deleted, closure__isnull=False)
        closures = set(roots_of.order_by().values_list("closure_id", flat=True))
        Execution._base_manager.filter(pk__in=ids)._raw_delete(DB)
        delete_unused_closures(Closure.objects.filter(pk__in=closures))
        entry = Attempt(
            Action.DELETED,
            kind="execution",
            cuid="",
            title=count(len(deleted), "ended execution tree"),
            before={"executions": sorted(deleted.values()), "number": len(ids)},
            why=f"Purged: ended before {before.isoformat()}",
        )
        record([entry])
    done.trees += len(deleted)
    _count(done, "execution", len(ids))
    for name, number in counts.items():
        _count(done, name, number)
    return set(deleted)


def _name(referrer: Referrer) -> str:
    return str(referrer.model._meta.verbose_name)


def _count(done: Purged, name: str, number: int) -> None:
    done.rows[name] = done.rows.get(name, 0) + number


def _complete_deliveries(ids: list[int]) -> None:
    """Store the cuids in incoming deliveries that the previous release wrote without them."""
    execution = Execution._base_manager.filter(pk=OuterRef("execution"))
    Delivery.objects.filter(execution__in=ids, execution_cuid="").update(
        execution_cuid=Subquery(execution.values("cuid")),
        entity_cuid=Subquery(execution.values("entity__cuid")),
    )


def _purge_versions(done: Purged, dry_run: bool) -> Iterator[Purged]:
    superseded = Version.objects.filter(Exists(later_versions())).order_by("pk")
    rows = Execution._base_manager.order_by()
    moved = Move.objects.order_by().filter(from_version=OuterRef("pk"))
    unused = (
        ~Exists(rows.filter(version=OuterRef("pk")))
        & ~Exists(rows.filter(closure__members__version=OuterRef("pk")))
        & ~Exists(moved)
    )
    used = superseded.exclude(unused).values_list("cuid", flat=True)
    for cuid in used.iterator(500):
        done.retain(IS_USED_VERSION, cuid)
    last = 0
    rest = superseded.filter(unused).select_related("workflow")
    while free := list(rest.filter(pk__gt=last)[:VERSION_BATCH]):
        last = free[-1].pk
        for version in free:
            if dry_run:
                done.versions += 1
            else:
                _delete_version(version, done)
        yield done


def _delete_version(version: Version, done: Purged) -> None:
    try:
        deleted = version.delete()[1].get(Version._meta.label, 0)
    except RowDeleted:
        deleted = 0
    except (Refusal, locks.Contention):
        done.retain(IS_USED_VERSION, version.cuid)
        return
    if deleted:
        done.versions += 1
    else:
        done.retain(IS_DELETED, version.cuid)
