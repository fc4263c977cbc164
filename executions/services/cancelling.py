"""Cancelling an execution."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from executions.models import Execution
from executions.services.advancing import locked_advance
from workflows.audit.log import Action, attempting, record, told
from workflows.db import locks
from workflows.guards.database_errors import translated

DB = "default"


def cancel(execution: Execution, *, by: Any = None, why: str = "") -> Execution:
    """Cancel an execution and all that it has started; the step that called it has an incident.

    Raises:
        guards.Ended: the execution has ended already.
    """
    attempt = told(execution, Action.CANCELLED, why=why, by=by)
    with attempting(lambda: [attempt], using=DB):
        return _cancel(execution, by, why)


@translated
@locks.retrying
def _cancel(execution: Execution, by: Any, why: str) -> Execution:
    with transaction.atomic():
        advance, current = locked_advance(execution, by)
        before = current.status
        advance.cancel(current, why)
        advance.finish()
        cancelled = told(
            current,
            Action.CANCELLED,
            before={"status": before},
            after={"status": current.status},
            why=why,
            by=by,
        )
        record([cancelled], using=DB)
        return current
