"""Taking away what has ended long ago: whole trees, in short transactions.

What points at an execution is found by the models' own foreign keys: what goes along with it
(CASCADE) is deleted before it, what may stay (SET_NULL) lets go of it, and whatever else points
at one keeps its tree. A batch locks the roots that nobody is at, asks again, and deletes; no
lock is taken on a workflow, a version or an entity, so nothing that starts waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from executions.models import FOR_PEOPLE, LIVE, Delivery, Execution, Step
from workflows.audit.log import Action, record
from workflows.db import locks
from workflows.guards import Gone
from workflows.models import Candidate, Version
from workflows.models.version import later
from workflows.refusals import Attempt, Refusal

DB = "default"
BATCH = 200
LISTED = 20
VERSIONS_AT_ONCE = 100

LIVE_MEMBER = "something in the tree is live"
LAST = "the last execution of its entity"
NEEDED = "something else needs it"
AT_WORK = "somebody is at it just now"
GONE = "somebody else deleted it meanwhile"
VERSION_NEEDED = "an execution or a pin has the version"


@dataclass(slots=True)
class Kept:
    """How much was kept for one reason, and the first of it by cuid."""

    number: int = 0
    cuids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Purged:
    """What has been taken away so far, and what was kept and why."""

    trees: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    versions: int = 0
    kept: dict[str, Kept] = field(default_factory=dict)

    def keep(self, why: str, cuid: str) -> None:
        """Note that this one stays."""
        kept = self.kept.setdefault(why, Kept())
        kept.number += 1
        if len(kept.cuids) < LISTED:
            kept.cuids.append(cuid)


@dataclass(frozen=True, slots=True)
class Pointing:
    """Rows that point at executions: of which model, by which way."""

    model: Any
    path: str

    def rows(self, ids: list[int]) -> QuerySet[Any]:
        """Those of them that point at these executions."""
        found: QuerySet[Any] = self.model._base_manager.filter(**{f"{self.path}__in": ids})
        return found.order_by()


@dataclass(slots=True)
class Plan:
    """What points at an execution: what goes along, deepest first, what lets go, what keeps."""

    goes: list[Pointing] = field(default_factory=list)
    lets_go: list[Pointing] = field(default_factory=list)
    keeps: list[Pointing] = field(default_factory=list)

    @classmethod
    def read(cls) -> Plan:
        """The plan that the models' foreign keys make."""
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
            pointing = Pointing(relation.related_model, path)
            if relation.on_delete is models.CASCADE:
                self._walk(relation.related_model, path)
                self.goes.append(pointing)
            elif relation.on_delete is models.SET_NULL:
                # One that only goes with its execution anyway needs no letting go.
                if not above and relation.related_model not in [row.model for row in self.goes]:
                    self.lets_go.append(pointing)
            else:
                self.keeps.append(pointing)


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
    """Delete the trees that ended before a moment; yields what has been done after each batch.

    Args:
        done: counts what has been done, also where an error or an interruption ends it.
        keep_last: keep the last execution of each entity.
        versions: then delete the superseded versions that nothing has any more.
        batch: how many trees one transaction takes.
        dry_run: only count, in one snapshot that the caller holds.
        rest: how long to pause after a batch, in lengths of the batch: others go ahead.
    """
    plan, last = Plan.read(), 0
    while True:
        began = time.monotonic()
        rows = list(_ended(before, keep_last).filter(pk__gt=last)[:batch])
        if not rows:
            break
        last = rows[-1].pk
        _judge(rows, plan, done, before, keep_last, dry_run)
        yield done
        if not dry_run:
            time.sleep(rest * (time.monotonic() - began))
    if versions:
        yield from _purge_versions(done, dry_run)
    yield done


def _ended(before: datetime, keep_last: bool) -> QuerySet[Any]:
    """The roots that ended before, in the order of their ids, each with what may keep it."""
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


def _judge(
    rows: list[Any], plan: Plan, done: Purged, before: datetime, keep_last: bool, dry_run: bool
) -> None:
    free = {}
    for row in rows:
        if row.has_live:
            done.keep(LIVE_MEMBER, row.cuid)
        elif row.is_last:
            done.keep(LAST, row.cuid)
        else:
            free[row.pk] = row.cuid
    for pk in _needed(list(free), plan):
        done.keep(NEEDED, free.pop(pk))
    if dry_run:
        ids = _members(list(free))
        _count(done, "execution", len(ids))
        for pointing in plan.goes:
            _count(done, _name(pointing), pointing.rows(ids).count())
        done.trees += len(free)
    elif free:
        left = set(free) - _delete(list(free), plan, done, before, keep_last)
        there = set(Execution._base_manager.filter(pk__in=left).values_list("pk", flat=True))
        for pk in sorted(left):
            done.keep(AT_WORK if pk in there else GONE, free[pk])


def _members(roots: list[int]) -> list[int]:
    below = Execution._base_manager.filter(root_id__in=roots).order_by()
    return [*roots, *below.values_list("pk", flat=True)]


def _needed(roots: list[int], plan: Plan) -> set[int]:
    """Those roots at whose trees something points that neither goes along nor lets go."""
    found: set[int] = set()
    for pointing in plan.keeps if roots else ():
        name = pointing.path
        rows = pointing.rows(_members(roots)).values_list(f"{name}__root_id", f"{name}_id")
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
        needed = _needed([row.pk for row in free], plan)
        gone = {row.pk: row.cuid for row in free if row.pk not in needed}
        if not gone:
            return set()
        ids = _members(list(gone))
        reassigned = Step._base_manager.filter(execution__in=ids, type__in=FOR_PEOPLE)
        asked = Candidate._base_manager.filter(key__in=reassigned.values("assignees"))
        asked.exclude(step="")._raw_delete(DB)
        counts = {_name(pointing): pointing.rows(ids)._raw_delete(DB) for pointing in plan.goes}
        _note_answers(ids)
        for pointing in plan.lets_go:
            pointing.rows(ids).update(**{pointing.path: None})
        Execution._base_manager.filter(pk__in=ids)._raw_delete(DB)
        entry = Attempt(
            Action.DELETED,
            kind="execution",
            cuid="",
            title=f"{len(gone)} trees that had ended",
            before={"executions": sorted(gone.values()), "number": len(ids)},
            why=f"Purged: ended before {before.isoformat()}",
        )
        record([entry], using=DB)
    done.trees += len(gone)
    _count(done, "execution", len(ids))
    for name, number in counts.items():
        _count(done, name, number)
    return set(gone)


def _name(pointing: Pointing) -> str:
    return str(pointing.model._meta.verbose_name)


def _count(done: Purged, name: str, number: int) -> None:
    done.rows[name] = done.rows.get(name, 0) + number


def _note_answers(ids: list[int]) -> None:
    """Note what each delivery was answered, where the release before this one has not."""
    execution = Execution._base_manager.filter(pk=OuterRef("execution"))
    Delivery.objects.filter(execution__in=ids, execution_cuid="").update(
        execution_cuid=Subquery(execution.values("cuid")),
        entity_cuid=Subquery(execution.values("entity__cuid")),
    )


def _purge_versions(done: Purged, dry_run: bool) -> Iterator[Purged]:
    superseded = Version.objects.filter(Exists(later(DB))).order_by("pk")
    nobody = Q(executions=None, pins=None)
    needed = superseded.exclude(nobody).distinct().values_list("cuid", flat=True)
    for cuid in needed.iterator(500):
        done.keep(VERSION_NEEDED, cuid)
    last = 0
    rest = superseded.filter(nobody).select_related("workflow")
    while free := list(rest.filter(pk__gt=last)[:VERSIONS_AT_ONCE]):
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
    except Gone:
        deleted = 0
    except (Refusal, locks.Contention):
        done.keep(VERSION_NEEDED, version.cuid)
        return
    if deleted:
        done.versions += 1
    else:
        done.keep(GONE, version.cuid)
