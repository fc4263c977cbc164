"""What a page was refused, told to the audit log once its own transaction has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workflows.admin.base.refusals import refusal_of
from workflows.audit.log import record_refusal
from workflows.db import locks
from workflows.refusals import Attempt, Refusal


def recorded(error: Exception, attempts: Callable[[], Sequence[Attempt]] = list) -> Refusal:
    """The refusal that an exception stands for, which is in the audit log by then.

    Args:
        attempts: what the page tried; asked where the refusal itself does not know, because
            a key of the schema spoke and not a guard.

    Raises:
        Exception: the same again, when it is a fault and no refusal.
    """
    refusal = refusal_of(error)
    if refusal is None:
        raise error
    # Contention is no answer to what was tried: whoever tries again is answered.
    if not refusal.attempts and refusal.code != locks.Contention.code:
        refusal.attempts = attempts()
    record_refusal(refusal)
    return refusal
