"""Database triggers of closures: write-once rows, and the release of a closure.

The release of a version empties the keys of its members (ON UPDATE CASCADE). A trigger then
empties the key of their closures, which the key of a live root rejects. A key is emptied, but never
filled again: a closure that was released once is never used for a start.
"""

from __future__ import annotations

from workflows.db import write_once

_RELEASE = (
    "UPDATE executions_closure SET context_key = NULL"
    " WHERE id = NEW.closure_id AND context_key IS NOT NULL"
)
_RELEASED = "executions_closure_released"
_ON_RELEASE = "AFTER UPDATE OF key ON executions_closuremember FOR EACH ROW"
_WHEN_RELEASED = "WHEN (OLD.key IS NOT NULL AND NEW.key IS NULL)"
# A repair adds members while their closure is unsealed: a new row has no id to unseal.
_IS_USED = (
    "EXISTS (SELECT 1 FROM executions_execution x WHERE x.closure_id = NEW.closure_id)"
    " AND NOT EXISTS (SELECT 1 FROM workflows_unsealed c"
    " WHERE c.table_name = 'executions_closure' AND c.row_id = NEW.closure_id)"
)


def register() -> None:
    """Register the triggers. They are installed together with the write-once triggers."""
    write_once.protect_columns(
        "executions_closure_sealed", "executions_closure", ("workflow_id", "version_id", "checksum")
    )
    write_once.protect_columns(
        "executions_closure_key_sealed",
        "executions_closure",
        ("context_key",),
        "NEW.context_key IS NOT NULL",
    )
    write_once.protect_columns(
        "executions_closuremember_sealed",
        "executions_closuremember",
        ("closure_id", "callee_id", "version_id"),
    )
    write_once.protect_columns(
        "executions_closuremember_key_sealed",
        "executions_closuremember",
        ("key",),
        "NEW.key IS NOT NULL",
    )
    write_once.protect_rows(
        "executions_closuremember_attached",
        "executions_closuremember",
        "closure_id",
        "executions_closure",
    )
    write_once.reject(
        "executions_closuremember_added",
        "executions_closuremember",
        "INSERT",
        sqlite=_IS_USED,
        postgresql=_IS_USED,
    )
    write_once.protect_columns(
        "executions_execution_closure_sealed",
        "executions_execution",
        ("closure_id",),
        needs=("executions_closure",),
    )
    write_once.register(
        write_once.CustomTrigger(
            _RELEASED,
            "executions_closuremember",
            ("executions_closure",),
            sqlite=(
                f"CREATE TRIGGER {_RELEASED} {_ON_RELEASE} {_WHEN_RELEASED} BEGIN {_RELEASE}; END",
            ),
            postgresql=(
                f"CREATE OR REPLACE FUNCTION {_RELEASED}() RETURNS trigger LANGUAGE plpgsql"
                f" AS $$ BEGIN {_RELEASE}; RETURN NULL; END $$",
                f"CREATE OR REPLACE TRIGGER {_RELEASED} {_ON_RELEASE} {_WHEN_RELEASED}"
                f" EXECUTE FUNCTION {_RELEASED}()",
            ),
        )
    )
