"""The SQL condition for an unassigned step, as in ``task_queries.unassigned``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import BooleanField, F, Func

from executions.models import SUBMIT


def _through(model: Any, name: str) -> str:
    return str(model._meta.get_field(name).remote_field.through._meta.db_table)


_USER: Any = get_user_model()
_MEMBERS = _through(_USER, "groups")
_APP, _CODENAME = SUBMIT.split(".")
_MAY = (
    "(SELECT p.id FROM auth_permission p JOIN django_content_type t ON t.id = p.content_type_id"
    f" WHERE t.app_label = '{_APP}' AND p.codename = '{_CODENAME}')"
)
_IS_ABLE = (
    "u.is_active{without_users} AND (u.is_superuser"
    f" OR EXISTS (SELECT 1 FROM {_through(_USER, 'user_permissions')} own"
    f" WHERE own.user_id = u.id AND own.permission_id IN {_MAY})"
    f" OR EXISTS (SELECT 1 FROM {_MEMBERS} m JOIN {_through(Group, 'permissions')} granted"
    f" ON granted.group_id = m.group_id WHERE m.user_id = u.id"
    f" AND granted.permission_id IN {_MAY}))"
)
_ROOT = "SELECT COALESCE(o.root_id, o.id) FROM executions_execution o WHERE o.id = {execution}"
# Without a starter, the comparison would be NULL.
_IS_STARTER = (
    f"EXISTS (SELECT 1 FROM executions_execution r WHERE r.id = ({_ROOT})"
    " AND r.started_by_id = u.id)"
)
_IS_SUBMITTER = (
    "EXISTS (SELECT 1 FROM executions_step f JOIN executions_execution x ON x.id = f.execution_id"
    " WHERE f.closed_by_id = u.id AND f.type = 'user_action' AND f.state = 'done'"
    f" AND f.input IS NOT NULL AND COALESCE(x.root_id, x.id) = ({_ROOT}))"
)
_IS_EXCLUDED = (
    "EXISTS (SELECT 1 FROM workflows_candidate e WHERE e.key = {key}"
    f" AND (e.excludes_starter AND {_IS_STARTER} OR e.excludes_submitters AND {_IS_SUBMITTER}))"
)


def _exists(join: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM workflows_candidate c {join}"
        f" WHERE c.key = {{key}} AND {_IS_ABLE} AND NOT {_IS_EXCLUDED})"
    )


_AS_USER = _exists(f"JOIN {_USER._meta.db_table} u ON u.id = c.user_id")
_AS_MEMBER = _exists(
    f"JOIN {_MEMBERS} of_group ON of_group.group_id = c.group_id{{without_groups}}"
    f" JOIN {_USER._meta.db_table} u ON u.id = of_group.user_id"
)
_ABLE_NUMBER = (
    "(SELECT count(*) FROM (SELECT d.user_id FROM workflows_candidate d"
    " WHERE d.key = {key} AND d.user_id IS NOT NULL"
    f" UNION SELECT of_group.user_id FROM {_MEMBERS} of_group"
    " JOIN workflows_candidate d ON d.group_id = of_group.group_id WHERE d.key = {key}"
    "{without_groups})"
    f" candidate JOIN {_USER._meta.db_table} u ON u.id = candidate.user_id"
    f" WHERE {_IS_ABLE} AND NOT {_IS_EXCLUDED})"
)
_TOO_FEW = (
    "EXISTS (SELECT 1 FROM workflows_candidate c WHERE c.key = {key} AND c.needed > 1"
    f" AND c.needed > {_ABLE_NUMBER})"
)
_IS_UNASSIGNED = f"((NOT {_AS_USER} AND NOT {_AS_MEMBER}) OR {_TOO_FEW})"


def is_unassigned(
    key: str, execution: str, *, users: Collection[int] = (), groups: Collection[int] = ()
) -> str:
    """Return a condition: too few candidates are active, may submit and are not excluded.

    Args:
        key: the SQL of ``assignees`` of a step.
        execution: the SQL of the id of its execution.
        users: the ids of users to ignore because they are being deleted.
        groups: the ids of groups to ignore because they are being deleted.
    """
    return _IS_UNASSIGNED.format(
        key=key,
        execution=execution,
        without_users=_without("u.id", users),
        without_groups=_without("of_group.group_id", groups),
    )


def _without(column: str, ids: Collection[int]) -> str:
    return f" AND {column} NOT IN ({', '.join(map(str, map(int, ids)))})" if ids else ""


class IsUnassigned(Func):
    """The same condition as an expression on steps."""

    output_field = BooleanField()

    def __init__(self, **without: Collection[int]) -> None:
        super().__init__(F("assignees"), F("execution_id"))
        self.without = without

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # type: ignore[override]
        """Return the condition for the columns of the step."""
        key, execution = (compiler.compile(one)[0] for one in self.source_expressions)
        return is_unassigned(key, execution, **self.without), []
