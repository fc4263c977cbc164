"""Database triggers of files: a file is written once, and its object is deleted after it.

The row of a deleted file goes to the unused objects in the same transaction, however it is deleted.
"""

from __future__ import annotations

from workflows.db import write_once

_DELETED = "executions_formfile_deleted"
_ON_DELETE = "AFTER DELETE ON executions_formfile FOR EACH ROW"
_INSERT = (
    "INSERT INTO executions_unusedobject (key, due_at) VALUES (OLD.key, {now})"
    " ON CONFLICT (key) DO NOTHING"
)


def register(frozen: tuple[str, ...]) -> None:
    """Declare the triggers.

    Args:
        frozen: the columns of a file that are written once.
    """
    write_once.protect_columns("executions_formfile_sealed", "executions_formfile", frozen)
    write_once.protect_columns(
        "executions_formfile_attached",
        "executions_formfile",
        ("attached_at",),
        "OLD.attached_at IS NOT NULL",
    )
    on_sqlite = _INSERT.format(now="strftime('%Y-%m-%d %H:%M:%f', 'now')")
    on_postgresql = _INSERT.format(now="clock_timestamp()")
    write_once.register(
        write_once.CustomTrigger(
            _DELETED,
            "executions_formfile",
            ("executions_unusedobject",),
            sqlite=(f"CREATE TRIGGER {_DELETED} {_ON_DELETE} BEGIN {on_sqlite}; END",),
            postgresql=(
                f"CREATE OR REPLACE FUNCTION {_DELETED}() RETURNS trigger LANGUAGE plpgsql"
                f" AS $$ BEGIN {on_postgresql}; RETURN NULL; END $$",
                f"CREATE OR REPLACE TRIGGER {_DELETED} {_ON_DELETE} EXECUTE FUNCTION {_DELETED}()",
            ),
        )
    )
