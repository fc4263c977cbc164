"""Permissions of ordinary users, read by prepared statements.

Django reads the permissions of a user and those of the user's groups by two queries that are built
and planned for each request, which takes longer than everything else that authorizes it. Nothing
is kept between requests: a change of permissions or groups applies to the next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType

from workflows.db.prepared import ON_POSTGRESQL, Statement

_KNOWN = "_known_permissions"


def granted_sql(user: str, codenames: Iterable[str] | None = None) -> str:
    """Return an SQL expression: the permissions of a user (``app.codename``), between spaces.

    Both permissions of the user and of the user's groups count. It is NULL if there are none.

    Args:
        user: the SQL of the user's id.
        codenames: the SQL of each codename to look for; None for all permissions.
    """
    tables = {model: model._meta.db_table for model in (Permission, ContentType)}
    users: Any = get_user_model()._meta
    own, groups = users.get_field("user_permissions"), users.get_field("groups")
    of_groups: Any = Group._meta.get_field("permissions")
    join = "string_agg" if ON_POSTGRESQL else "group_concat"
    wanted = "" if codenames is None else f"p.codename IN ({', '.join(codenames)}) AND "
    return (
        f"(SELECT {join}(c.app_label || '.' || p.codename, ' ') FROM {tables[Permission]} p"
        f" JOIN {tables[ContentType]} c ON c.id = p.content_type_id WHERE {wanted}(EXISTS"
        f" (SELECT 1 FROM {own.m2m_db_table()} o WHERE o.{own.m2m_column_name()} = {user}"
        f" AND o.{own.m2m_reverse_name()} = p.id) OR EXISTS"
        f" (SELECT 1 FROM {groups.m2m_db_table()} m JOIN {of_groups.m2m_db_table()} g"
        f" ON g.{of_groups.m2m_column_name()} = m.{groups.m2m_reverse_name()}"
        f" WHERE m.{groups.m2m_column_name()} = {user}"
        f" AND g.{of_groups.m2m_reverse_name()} = p.id)))"
    )


@cache
def _statement() -> Statement:
    return Statement(f"SELECT {granted_sql('$1')}", ("bigint",))


def read_permissions(user: Any) -> set[str]:
    """Return all permissions of a user who is no superuser, by one statement."""
    return set((_statement().execute([user.pk])[0][0] or "").split())


def remember_permissions(user: Any, asked: Iterable[str], granted: str | None) -> None:
    """Keep with this instance of a user which of the asked permissions they have.

    Args:
        asked: names of permissions (``app.codename``).
        granted: the value of ``granted_sql``.
    """
    names = (granted or "").split()
    user.__dict__[_KNOWN] = {name: name in names for name in asked}


def recall_permission(user: Any, name: str) -> bool | None:
    """Return what ``remember_permissions`` knows about a permission; None for nothing."""
    known: bool | None = user.__dict__.get(_KNOWN, {}).get(name)
    return known
