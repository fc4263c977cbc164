"""Translation of database errors into the refusals of the guards."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, IntegrityError
from django.db.models import ProtectedError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.guards import (
    ActiveExecutions,
    AuditLogImmutable,
    ContextShape,
    Draining,
    HasCallers,
    IncompatibleEntityTypes,
    InvalidState,
    InvalidTrigger,
    TriggerTaken,
    TypeInUse,
    VersionInUse,
    WriteOnce,
)
from workflows.refusals import Refusal

P = ParamSpec("P")
R = TypeVar("R")


class NotUnique(Refusal):
    message = _("A record with the same name or number already exists.")
    code = "not_unique"


class DatabaseRefusal(Refusal):
    message = _("The database refused the change: it would make a live execution inconsistent.")
    code = "database_refused"


# The keys, checks and write-once triggers of the database, each with the refusal of its rule.
# The executions app adds its own.
KEYS: dict[str, type[Refusal]] = {
    "workflows_version_workflow_fk": ActiveExecutions,
    "workflows_reference_callee_fk": IncompatibleEntityTypes,
    "workflows_reference_version_fk": VersionInUse,
    "workflows_version_sealed": VersionInUse,
    "workflows_reference_sealed": VersionInUse,
    "workflows_reference_attached": VersionInUse,
    "workflows_reference_drawn": VersionInUse,
    "workflows_workflow_sealed": WriteOnce,
    "workflows_workflow_called": HasCallers,
    "workflows_workflow_state": InvalidState,
    "workflows_workflow_trigger": InvalidTrigger,
    "workflows_workflow_created": TriggerTaken,
    "workflows_workflow_shape": ContextShape,
    "workflows_version_shape": ContextShape,
    "workflows_pendingchange_shape": ContextShape,
    "workflows_pending_once": Draining,
    "workflows_auditentry_sealed": AuditLogImmutable,
    "workflows_auditentry_kept": AuditLogImmutable,
}

# SQLite names the columns of a unique index, not the index.
UNIQUE_ON_SQLITE = {
    "UNIQUE constraint failed: workflows_workflow.context_key": "workflows_workflow_created"
}

# The refusals of deletions, by the first part of the name of the key. Django's own keys, which also
# keep rows of ended executions, begin like the composite ones.
DELETION_KEYS: dict[str, type[Refusal]] = {
    "workflows_reference_callee_": HasCallers,
    "workflows_workflow_entity_name_type_": TypeInUse,
    "workflows_workflow_primary_record_type_": TypeInUse,
    "workflows_version_entity_name_type_": TypeInUse,
    "workflows_version_primary_record_type_": TypeInUse,
    "workflows_pendingchange_entity_name_type_": TypeInUse,
    "workflows_pendingchange_primary_record_type_": TypeInUse,
}


def translate_database_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Raise the errors of the database's keys from ``function`` as refusals."""

    @functools.wraps(function)
    def translate(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except DatabaseError as error:
            refusal = find_refusal(error)
            if refusal is None:
                raise
            raise refusal from error

    return translate


def translate_deletion_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Raise the errors of the database's keys from a deletion as refusals.

    A key can have another refusal here than for a write.
    """

    @functools.wraps(function)
    def translate(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except DatabaseError as error:
            name = _constraint_of(error)
            found = [rule for start, rule in DELETION_KEYS.items() if name.startswith(start)]
            refusal = found[0]() if found else find_refusal(error)
            if refusal is None:
                raise
            raise refusal from error

    return translate


def _constraint_of(error: DatabaseError) -> str:
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or ""


def find_refusal(error: DatabaseError) -> Refusal | None:
    """Return the refusal for the key that raised this error; None for any other error.

    SQLite does not name the foreign key, so the refusal is a ``DatabaseRefusal`` there. Judging
    first gives a better message.
    """
    if isinstance(error, ProtectedError):
        return DatabaseRefusal(gettext("Cannot delete this: other records refer to it."))
    if not isinstance(error, IntegrityError):
        return None
    name = _constraint_of(error)
    if not name:
        text = UNIQUE_ON_SQLITE.get(str(error), str(error))
        name = next((key for key in KEYS if key in text), "")
    if name in KEYS:
        return KEYS[name]()
    state = getattr(error.__cause__, "pgcode", "")
    if state == "23505" or "UNIQUE constraint failed" in str(error):
        return NotUnique()
    if state == "23503" or "FOREIGN KEY constraint failed" in str(error):
        return DatabaseRefusal()
    return None
