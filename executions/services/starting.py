"""Starting a workflow on an entity, now or at a later time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from executions import guards
from executions.engine import closures, form_fields
from executions.engine.advance import Advance
from executions.engine.closures import CachedClosure
from executions.engine.store import Basis, store
from executions.engine.tree import checked_variables
from executions.engine.value_sources import InvalidValue
from executions.models import Entity, Execution, Status
from executions.services.advancing import (
    StoresAnswer,
    keep_result,
    lock_entity,
    refuse_to_store,
    store_answer,
)
from executions.services.call_closure import lock_closure
from workflows.db import clock, locks, raw_rows
from workflows.db.json_values import below, find_unstorable, json_type
from workflows.guards import workflow_deleted
from workflows.guards.database_errors import translate_database_errors
from workflows.models import Version, Workflow
from workflows.models.pending_change import find_draining
from workflows.refusals import Problem


@translate_database_errors
@locks.retrying
def start(
    workflow: Workflow,
    entity: Entity,
    *,
    by: Any = None,
    scheduled_for: datetime | None = None,
    variables: Mapping[str, Any] | None = None,
    stores: StoresAnswer | None = None,
) -> Execution:
    """Start a root execution: pin the versions of all that it calls, and walk to its first wait.

    Args:
        by: the account that starts it.
        scheduled_for: the time at which the execution begins; a time that has passed means now.
            The versions are pinned at once.
        variables: the variables that the execution starts with.
        stores: returns the row of an answer that the same statement stores.

    Raises:
        idempotency.NeedsTransaction: ``stores`` is given, and one statement is not enough.
        workflows.guards.Draining: a change on hold waits until these workflows are drained.
        guards.NotStartable: the workflow, or one that it calls, is not active.
        guards.EntityTypeMismatch: the entity has another context.
        InvalidValue: the variables have invalid names, or cannot be stored.
        locks.Contention: editors held the locks of the workflows in every attempt.
    """
    given = {} if variables is None else check_variables(variables)
    try:
        execution = _start_on_cached_closure(workflow, entity, by, scheduled_for, given, stores)
        if execution is not None:
            return execution
        refuse_to_store(stores)
        return start_under_locks(workflow, entity.pk, by, scheduled_for, given)
    except (IntegrityError, Version.DoesNotExist) as error:
        # The version was replaced or released between the read and the insert, and the keys
        # rejected the execution. The next attempt reads the new version.
        closures.forget_closure(workflow.pk)
        raise locks.TryAgain from error


def check_variables(variables: object) -> dict[str, Any]:
    """Return the variables as they are stored. Raise ``InvalidValue`` with all problems."""
    if not isinstance(variables, Mapping):
        detail = gettext("The variables must be an object, not {type}.")
        raise _invalid([("", detail.format(type=json_type(variables)))])
    problems = [
        (below("", name), reason)
        for name in variables
        if (reason := form_fields.name_problem(name))
    ]
    problems = problems or list(find_unstorable(dict(variables)))
    if problems:
        raise _invalid(problems)
    return checked_variables(variables)


def _invalid(problems: list[tuple[str, str]]) -> InvalidValue:
    return InvalidValue(
        problems[0][1],
        problems=[
            Problem(f"/variables{pointer}", InvalidValue.code, detail)
            for pointer, detail in problems
        ],
    )


def _start_on_cached_closure(
    workflow: Workflow,
    entity: Entity,
    by: Any,
    scheduled_for: datetime | None,
    variables: Mapping[str, Any],
    stores: StoresAnswer | None,
) -> Execution | None:
    """Start on the cached closure; return None if there is none, or it is outdated.

    On PostgreSQL, nothing is locked before the one statement that writes. It takes the locks of
    a runner and compares what was read without them: first the caller's copy of the entity, then
    the stored entity.
    """
    closure = closures.cached_closure(workflow.pk)
    if closure is None:
        return None
    with locks.single_writer():
        for current, basis in store.entities_for_start(entity, closure):
            started = _write_start(current, closure, by, scheduled_for, basis, variables, stores)
            if started is not None:
                return started
    closures.forget_closure(workflow.pk)
    return None


def start_under_locks(
    workflow: Workflow,
    entity_id: int,
    by: Any,
    scheduled_for: datetime | None,
    variables: Mapping[str, Any] | None = None,
) -> Execution:
    """Read and check the call closure under locks, and start on it.

    The caller retries ``IntegrityError``, ``Version.DoesNotExist`` and ``locks.TryAgain``.
    """
    with transaction.atomic():
        locked = lock_entity(entity_id)
        versions = lock_closure(workflow.pk)
        if not versions:
            raise workflow_deleted(workflow)
        waits = [row.workflow_id for row in versions if row.waits]
        waiting = list(find_draining(waits)) if waits else []
        guards.refuse_start(versions[0].workflow, locked, versions, waiting)
        closure = closures.cache_closure(workflow.pk, versions)
        started = _write_start(locked, closure, by, scheduled_for, None, variables or {})
        assert started is not None
        return started


def _write_start(
    entity: Entity,
    closure: CachedClosure,
    by: Any,
    scheduled_for: datetime | None,
    basis: Basis | None,
    variables: Mapping[str, Any],
    stores: StoresAnswer | None = None,
) -> Execution | None:
    """Walk from the start node and write. Return None when ``basis`` is outdated."""
    version = closure.version()
    now, ids = clock.now(), store.execution_ids()
    root = raw_rows.build_new(
        Execution,
        id=next(ids),
        workflow_id=version.workflow_id,
        version_id=version.pk,
        entity_id=entity.pk,
        closure_id=closure.stored_id,
        status=Status.SCHEDULED if scheduled_for and scheduled_for > now else Status.ACTIVE,
        context_key=closure.context_key,
        started_at=now,
        updated_at=now,
        scheduled_for=scheduled_for,
        started_by_id=None if by is None else by.pk,
        variables=dict(variables),
    )
    raw_rows.set_relations(root, workflow=version.workflow, version=version, entity=entity)
    pinned = closure.pinned()
    advance = Advance(root, entity, now=now, by=by, pinned=pinned, basis=basis, ids=ids)
    advance.start()
    store_answer(root, advance, stores, is_new=True)
    return keep_result(root, advance, is_new=True) if advance.finish() else None
