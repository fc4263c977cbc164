"""The SQL condition for an unassigned step, as in ``task_queries.unassigned``."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

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
    "u.is_active AND (u.is_superuser"
    f" OR EXISTS (SELECT 1 FROM {_through(_USER, 'user_permissions')} own"
    f" WHERE own.user_id = u.id AND own.permission_id IN {_MAY})"
    f" OR EXISTS (SELECT 1 FROM {_MEMBERS} m JOIN {_through(Group, 'permissions')} granted"
    f" ON granted.group_id = m.group_id WHERE m.user_id = u.id"
    f" AND granted.permission_id IN {_MAY}))"
)


def _exists(join: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM workflows_candidate c {join}"
        f" WHERE c.key = s.assignees AND {_IS_ABLE})"
    )


_AS_USER = _exists(f"JOIN {_USER._meta.db_table} u ON u.id = c.user_id")
_AS_MEMBER = _exists(
    f"JOIN {_MEMBERS} of_group ON of_group.group_id = c.group_id"
    f" JOIN {_USER._meta.db_table} u ON u.id = of_group.user_id"
)
_ABLE_NUMBER = (
    "(SELECT count(*) FROM (SELECT d.user_id FROM workflows_candidate d"
    " WHERE d.key = s.assignees AND d.user_id IS NOT NULL"
    f" UNION SELECT of_group.user_id FROM {_MEMBERS} of_group"
    " JOIN workflows_candidate d ON d.group_id = of_group.group_id WHERE d.key = s.assignees)"
    f" candidate JOIN {_USER._meta.db_table} u ON u.id = candidate.user_id WHERE {_IS_ABLE})"
)
_TOO_FEW = (
    "EXISTS (SELECT 1 FROM workflows_candidate c WHERE c.key = s.assignees AND c.needed > 1"
    f" AND c.needed > {_ABLE_NUMBER})"
)
IS_UNASSIGNED = f"((NOT {_AS_USER} AND NOT {_AS_MEMBER}) OR {_TOO_FEW})"
"""True when the step ``s`` has too few candidates that are active and may submit."""
