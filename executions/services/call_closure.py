"""Locking the versions of a workflow and of all that it can call."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from executions.engine.store import store
from workflows.db import locks
from workflows.db.built_queries import select_ids
from workflows.models import PendingWorkflow, Reference, Version, Workflow, call_queries
from workflows.models.version import later_versions


def lock_closure(workflow_id: int, version: Version | None = None) -> list[Any]:
    """Lock a workflow and all that it calls, and return the versions that a start would run.

    The version of the workflow itself comes first. All locks are KEY SHARE, but UPDATE for
    versions if ``version`` has been released: the caller puts it in force again.

    Args:
        version: the version of the workflow itself; by default its latest. Callees have their
            latest version.

    Raises:
        locks.TryAgain: a graph was saved, or ``version`` deleted, between two reads.
    """
    ids = _follow_calls(workflow_id, version)
    locks.lock_rows(Workflow._base_manager.all(), ids, locks.Strength.KEY_SHARE)
    again = _follow_calls(workflow_id, version)
    if set(again) - set(ids):
        # The closure has grown. A lock taken now could break the order of the ids.
        raise locks.TryAgain
    is_released = version is not None and not version.in_force
    strength = locks.Strength.UPDATE if is_released else locks.Strength.KEY_SHARE
    return _read_versions(workflow_id, version, again, strength)


def read_closure(workflow_id: int, version: Version | None = None) -> list[Any]:
    """Return the versions that ``lock_closure`` would lock. For a plan: they may change at once.

    Raises:
        locks.TryAgain: a graph was saved between two reads.
    """
    return _read_versions(workflow_id, version, _follow_calls(workflow_id, version), None)


def _read_versions(
    workflow_id: int, version: Version | None, called: list[int], strength: locks.Strength | None
) -> list[Any]:
    """Return the versions of these workflows, the own one first; with ``strength``, lock them."""
    own = None if version is None else version.pk
    if own is None:
        ids = select_ids(_latest, called)
    else:
        latest = Version.objects.filter(workflow_id__in=called).latest_of_each()
        either = Q(pk=own) | Q(pk__in=latest.exclude(workflow=workflow_id))
        ids = list(Version.objects.filter(either).values_list("pk", flat=True))
    rows = Version._base_manager.all()
    locked = ids if strength is None else locks.lock_rows(rows, ids, strength)
    waits = PendingWorkflow.objects.filter(workflow_id=OuterRef("workflow_id"), waiting=True)
    versions = list(
        Version.objects.filter(~Exists(later_versions()) | Q(pk=own), pk__in=ids)
        .annotate(revision=store.workflow_revision, waits=Exists(waits))
        .select_related("workflow")
        .defer("source")
    )
    callees = select_ids(_callees, ids)
    is_deleted = own is not None and own not in ids
    if (
        is_deleted
        or len(locked) != len(ids)
        or len(versions) != len(ids)
        or set(callees) - set(called)
    ):
        # A graph was saved or a version purged between the reads: callees are not locked yet.
        raise locks.TryAgain
    return sorted(versions, key=lambda version: version.workflow_id != workflow_id)


def _latest(workflow_ids: list[int]) -> QuerySet[Any, Any]:
    latest = Version.objects.filter(workflow_id__in=workflow_ids).latest_of_each()
    return latest.order_by().values_list("pk", flat=True)


def _callees(version_ids: list[int]) -> QuerySet[Any, Any]:
    references = Reference._base_manager.filter(version__in=version_ids, version__in_force=True)
    active = references.exclude(version__workflow__state=Workflow.State.RETIRED)
    return active.order_by().values_list("callee_id", flat=True)


def _follow_calls(workflow_id: int, version: Version | None) -> list[int]:
    """Return the ids of the workflow and of all that this version of it can call."""
    if version is None:
        return call_queries.follow_calls([workflow_id], "callees")
    called = Reference._base_manager.filter(version=version).order_by()
    callees = call_queries.follow_calls(called.values_list("callee_id", flat=True), "callees")
    return sorted({workflow_id, *callees})
