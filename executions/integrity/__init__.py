"""The laws, checked against the database: what was edited behind the product's back is named.

The keys hold most of them against raw SQL too; this finds what came in with the constraints
off, or through a hole that no key can close. Queries where they do, Python where JSON is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from executions.integrity.branches import waiting_joins
from executions.integrity.contexts import (
    called_contexts,
    entity_contexts,
    latest_contexts,
    live_contexts,
)
from executions.integrity.frozen import closures, cycles, versions
from executions.integrity.open_steps import calling_steps, jobs, open_steps, pinned_children, places
from executions.integrity.safeguards import audit_log, changes_on_hold, nowhere, opened_seals
from executions.integrity.secrets import secrets
from executions.integrity.violation import REPAIR, Violation
from workflows.db.locks import stable_snapshot

LAWS: tuple[Callable[[], Iterator[Violation]], ...] = (
    live_contexts,
    latest_contexts,
    called_contexts,
    versions,
    closures,
    pinned_children,
    entity_contexts,
    cycles,
    open_steps,
    calling_steps,
    places,
    jobs,
    waiting_joins,
    secrets,
    opened_seals,
    nowhere,
    changes_on_hold,
    audit_log,
)


def violations() -> list[Violation]:
    """Every violation of every law, in one stable snapshot."""
    with stable_snapshot():
        return [violation for law in LAWS for violation in law()]


__all__ = [
    "LAWS",
    "REPAIR",
    "Violation",
    "audit_log",
    "called_contexts",
    "calling_steps",
    "changes_on_hold",
    "closures",
    "cycles",
    "entity_contexts",
    "jobs",
    "latest_contexts",
    "live_contexts",
    "nowhere",
    "open_steps",
    "opened_seals",
    "pinned_children",
    "places",
    "secrets",
    "stable_snapshot",
    "versions",
    "violations",
    "waiting_joins",
]
