"""Checks of the invariants I1 to I9 against the stored data.

Database keys reject most violations, also from raw SQL. The checks find data that was written
while the keys were disabled, or that no key can express. They use queries, and read the JSON of
graphs in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from executions.integrity.contexts import (
    check_called_contexts,
    check_entity_contexts,
    check_latest_contexts,
    check_live_contexts,
)
from executions.integrity.files import check_files
from executions.integrity.open_steps import (
    check_calling_steps,
    check_jobs,
    check_open_steps,
    check_step_nodes,
)
from executions.integrity.safeguards import (
    check_audit_log,
    check_foreign_keys,
    check_pending_changes,
    check_write_once,
)
from executions.integrity.secrets import check_secrets
from executions.integrity.shared_closures import check_closure_members, check_closure_uses
from executions.integrity.versions import check_closures, check_cycles, check_versions
from executions.integrity.violation import REPAIR, Violation
from executions.integrity.waiting_joins import check_waiting_joins
from workflows.db.locks import stable_snapshot

INVARIANTS: tuple[Callable[[], Iterator[Violation]], ...] = (
    check_live_contexts,
    check_latest_contexts,
    check_called_contexts,
    check_versions,
    check_closures,
    check_closure_uses,
    check_closure_members,
    check_entity_contexts,
    check_cycles,
    check_open_steps,
    check_calling_steps,
    check_step_nodes,
    check_jobs,
    check_waiting_joins,
    check_secrets,
    check_write_once,
    check_foreign_keys,
    check_pending_changes,
    check_audit_log,
)
"""The checks. Each yields the violations of one invariant or of a part of it."""


def find_violations() -> list[Violation]:
    """Return all violations of all invariants, read from one snapshot of the database."""
    with stable_snapshot():
        return [violation for check in INVARIANTS for violation in check()]


__all__ = [
    "INVARIANTS",
    "REPAIR",
    "Violation",
    "check_files",
    "find_violations",
    "stable_snapshot",
]
