"""Restarting an execution from the beginning."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from executions import guards
from executions.engine.advance import Advance
from executions.models import LIVE, Execution, start_variables
from executions.services.advancing import lock_entity, lock_execution
from executions.services.starting import start_under_locks
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.db import clock, locks
from workflows.guards.database_errors import translate_database_errors
from workflows.models import Version


def restart(execution: Execution, *, by: Any = None, why: str = "") -> Execution:
    """Start the workflow anew on the same entity, on its latest version.

    A live execution is cancelled first, with its child executions.

    Returns:
        The new execution.

    Raises:
        guards.NotARoot: another execution started this one.
        Refusal: what ``start`` raises.
    """
    attempt = make_attempt(execution, Action.RESTARTED, why=why, by=by)
    with recording_refusals(lambda: [attempt]):
        return _restart(execution, by, why)


@translate_database_errors
@locks.retrying
def _restart(execution: Execution, by: Any, why: str) -> Execution:
    try:
        with transaction.atomic():
            root, current = lock_execution(execution)
            if current.pk != root.pk:
                raise guards.NotARoot(
                    f"Execution {current.cuid} was started by another one. Restart {root.cuid}."
                )
            before = current.status
            if before in LIVE:
                _cancel(root, current, by, why)
            new = start_under_locks(
                current.workflow, current.entity_id, by, None, start_variables(current)
            )
            entry = make_attempt(
                current,
                Action.RESTARTED,
                before={"status": before},
                after={"status": current.status, "execution": new.cuid},
                why=why,
                by=by,
            )
            record([entry])
            return new
    except (IntegrityError, Version.DoesNotExist) as error:
        # As in ``start``: the version was replaced meanwhile.
        raise locks.TryAgain from error


def _cancel(root: Execution, current: Execution, by: Any, why: str) -> None:
    entity = lock_entity(current.entity_id)
    advance = Advance(root, entity, now=clock.now(), by=by)
    advance.cancel(current, why or "It was restarted.")
    advance.finish()
