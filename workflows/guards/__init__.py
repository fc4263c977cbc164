"""What may not change, and why: every rule once, each refusal beside it.

A refusal is a class; its docstring is what the operator reads. The rules are handed rows
and querysets and import no models, so that ``clean()``, ``save()``, the services and the
signals ask the same function. They judge by plain reads; the locks are the caller's, and
the keys of the schema hold whatever was decided without them.
"""

from workflows.guards.blocking import (
    LISTED,
    blocking_executions,
    blocking_workflows,
    count,
)
from workflows.guards.calls import (
    CALL_CYCLE,
    StaleVersion,
    refuse_calls,
)
from workflows.guards.contexts import (
    ActiveExecutions,
    ContextChangeFacts,
    ContextShape,
    Crossing,
    DependentActiveExecutions,
    Draining,
    IncompatibleEntityTypes,
    InvalidToken,
    NoSuchType,
    Settled,
    StaleToken,
    refuse_context_change,
    refuse_context_shape,
    refuse_draining,
)
from workflows.guards.people import UNKNOWN_GROUP, UNKNOWN_USER, unknown_people
from workflows.guards.triggers import (
    InvalidTrigger,
    TriggerTaken,
    refuse_taken,
    refuse_trigger,
)
from workflows.guards.uses import (
    HasExecutions,
    Referenced,
    TypeInUse,
    refuse_referenced,
    refuse_type_deletion,
    refuse_used,
    users_of_type,
)
from workflows.guards.written_once import (
    Gone,
    InvalidState,
    LogKept,
    UseTheService,
    VersionInUse,
    WrittenOnce,
    refuse_bulk_references,
    refuse_bulk_rewrite,
    refuse_bulk_write,
    refuse_reference_addition,
    refuse_reference_deletion,
    refuse_rewrite,
    refuse_version_deletion,
    refuse_version_in_use,
)
from workflows.refusals import Refusal

__all__ = [
    "CALL_CYCLE",
    "LISTED",
    "UNKNOWN_GROUP",
    "UNKNOWN_USER",
    "ActiveExecutions",
    "ContextChangeFacts",
    "ContextShape",
    "Crossing",
    "DependentActiveExecutions",
    "Draining",
    "Gone",
    "HasExecutions",
    "IncompatibleEntityTypes",
    "InvalidState",
    "InvalidToken",
    "InvalidTrigger",
    "LogKept",
    "NoSuchType",
    "Referenced",
    "Refusal",
    "Settled",
    "StaleToken",
    "StaleVersion",
    "TriggerTaken",
    "TypeInUse",
    "UseTheService",
    "VersionInUse",
    "WrittenOnce",
    "blocking_executions",
    "blocking_workflows",
    "count",
    "refuse_bulk_references",
    "refuse_bulk_rewrite",
    "refuse_bulk_write",
    "refuse_calls",
    "refuse_context_change",
    "refuse_context_shape",
    "refuse_draining",
    "refuse_reference_addition",
    "refuse_reference_deletion",
    "refuse_referenced",
    "refuse_rewrite",
    "refuse_taken",
    "refuse_trigger",
    "refuse_type_deletion",
    "refuse_used",
    "refuse_version_deletion",
    "refuse_version_in_use",
    "unknown_people",
    "users_of_type",
]
