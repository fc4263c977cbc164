"""Database triggers that note when the users who may vote have changed. They cover raw SQL.

An account is activated or deactivated, joins or leaves a group, gains or loses a permission
(directly or through a group), or a candidate loses its account; or a user submits a form while an
open approval of the same tree excludes submitters. The background then counts the open votes again
(``services.recount_votes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from workflows.db import write_once

_NOTE = "INSERT INTO executions_peoplechange (at) SELECT CURRENT_TIMESTAMP"
_ROOT = "SELECT COALESCE(o.root_id, o.id) FROM executions_execution o WHERE o.id = NEW.execution_id"
_TREE = f"SELECT x.id FROM executions_execution x WHERE x.root_id = ({_ROOT}) UNION ALL {_ROOT}"
_IS_EXCLUDING = (
    # Read first: most installations exclude nobody.
    "EXISTS (SELECT 1 FROM workflows_candidate WHERE excludes_submitters)"
    " AND EXISTS (SELECT 1 FROM executions_step s JOIN workflows_candidate c ON c.key = s.assignees"
    f" WHERE s.execution_id IN ({_TREE}) AND s.state = 'open' AND s.type = 'approval'"
    " AND c.excludes_submitters)"
)
"""The condition that an approval of the same tree is open and excludes submitters."""


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of rows of a table; ``when`` is its condition.

    The trigger is per row, because a statement without rows changes nothing. ``where`` is a
    condition on other tables.
    """

    name: str
    table: str
    event: str
    when: str = ""
    where: str = ""

    def register(self) -> None:
        name, on = f"executions_{self.name}", f"AFTER {self.event} ON {self.table}"
        condition = f" WHEN ({self.when})" if self.when else ""
        note = f"{_NOTE} WHERE {self.where}" if self.where else _NOTE
        write_once.register(
            write_once.CustomTrigger(
                name,
                self.table,
                ("executions_peoplechange",),
                sqlite=(f"CREATE TRIGGER {name} {on} FOR EACH ROW{condition} BEGIN {note}; END",),
                postgresql=(
                    f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
                    f" AS $$ BEGIN {note}; RETURN NULL; END $$",
                    f"CREATE OR REPLACE TRIGGER {name} {on} FOR EACH ROW{condition}"
                    f" EXECUTE FUNCTION {name}()",
                ),
            )
        )


def register() -> None:
    """Register the triggers. They are installed together with the write-once triggers."""
    user = get_user_model()
    groups: Any = user._meta.get_field("groups")
    members = groups.remote_field.through._meta.db_table
    permissions: Any = user._meta.get_field("user_permissions")
    granted = permissions.remote_field.through._meta.db_table
    by_group = Group.permissions.through._meta.db_table
    active = "OLD.is_active <> NEW.is_active OR OLD.is_superuser <> NEW.is_superuser"
    submitted = (
        "NEW.type = 'user_action' AND NEW.state = 'done' AND OLD.state <> 'done'"
        " AND NEW.closed_by_id IS NOT NULL"
    )
    for change in (
        _Change("form_submitted", "executions_step", "UPDATE OF state", submitted, _IS_EXCLUDING),
        _Change("user_activity", user._meta.db_table, "UPDATE OF is_active, is_superuser", active),
        _Change("permission_granted", granted, "INSERT"),
        _Change("permission_taken", granted, "DELETE"),
        _Change("group_permission_granted", by_group, "INSERT"),
        _Change("group_permission_taken", by_group, "DELETE"),
        _Change("member_joins", members, "INSERT"),
        _Change("member_leaves", members, "DELETE"),
        _Change("candidate_changes", "workflows_candidate", "UPDATE OF group_id, user_id"),
        _Change("candidate_goes", "workflows_candidate", "DELETE"),
    ):
        change.register()
