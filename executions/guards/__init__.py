"""The rules for executions, entities and starts: one function per rule, one class per refusal.

The functions take rows and querysets and import no models, so that ``clean()``, signals and
services call the same rule. They read without locks: callers hold the locks, and the database's
keys reject what bypasses Python.
"""

from executions.guards.entities import (
    changes_context,
    explain_entity_edit,
    refuse_entities_edit,
    refuse_entity_deletion,
    refuse_entity_edit,
    refuse_fields,
)
from executions.guards.executions import (
    refuse_bulk_members,
    refuse_bulk_rewrite,
    refuse_closure_deletion,
    refuse_comment_deletion,
    refuse_execution_deletion,
    refuse_new_member,
    refuse_pin_deletion,
    refuse_rewrite,
    refuse_step_deletion,
    refuse_step_edit,
)
from executions.guards.refusals import (
    Claimed,
    EntityInUse,
    EntityTypeMismatch,
    ExcludedVoter,
    ExecutionEnded,
    ExecutionFrozen,
    ExecutionLive,
    InvalidDraft,
    InvalidFields,
    InvalidSubscription,
    NoIncident,
    NoSecretsKey,
    NoSuchHandle,
    NotARoot,
    NotAssigned,
    NotClaimed,
    NotOpen,
    NotStartable,
    SubscriptionDisabled,
    TooManySelected,
    UrlRefused,
)
from executions.guards.starts import refuse_start
from executions.guards.webhook_events import refuse_subscription

__all__ = [
    "Claimed",
    "EntityInUse",
    "EntityTypeMismatch",
    "ExcludedVoter",
    "ExecutionEnded",
    "ExecutionFrozen",
    "ExecutionLive",
    "InvalidDraft",
    "InvalidFields",
    "InvalidSubscription",
    "NoIncident",
    "NoSecretsKey",
    "NoSuchHandle",
    "NotARoot",
    "NotAssigned",
    "NotClaimed",
    "NotOpen",
    "NotStartable",
    "SubscriptionDisabled",
    "TooManySelected",
    "UrlRefused",
    "changes_context",
    "explain_entity_edit",
    "refuse_bulk_members",
    "refuse_bulk_rewrite",
    "refuse_closure_deletion",
    "refuse_comment_deletion",
    "refuse_entities_edit",
    "refuse_entity_deletion",
    "refuse_entity_edit",
    "refuse_execution_deletion",
    "refuse_fields",
    "refuse_new_member",
    "refuse_pin_deletion",
    "refuse_rewrite",
    "refuse_start",
    "refuse_step_deletion",
    "refuse_step_edit",
    "refuse_subscription",
]
