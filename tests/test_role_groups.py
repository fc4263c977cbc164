"""Groups of roles: created by a migration, compared and reset by ``create_roles``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command

from tests.commands import run
from tests.factories import UserFactory, user_with
from workflows_project.auth.roles import ROLES, find_differences, reset_groups

pytestmark = pytest.mark.django_db


def migrate(*target: str, **options: Any) -> None:
    call_command("migrate", *target, verbosity=0, **options)


def permissions_of(group: str) -> set[str]:
    rows = Permission.objects.filter(group__name=group)
    names = rows.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in names}


@pytest.mark.django_db(transaction=True)
class TestMigration:
    @pytest.fixture(autouse=True)
    def _before(self, transactional_db: None) -> Iterator[None]:
        migrate("holdfast", "zero")
        Group.objects.all().delete()
        yield
        migrate()

    def test_migration_creates_every_role(self) -> None:
        migrate()
        assert find_differences() == []
        assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)

    def test_migration_creates_missing_permissions(self) -> None:
        before = sorted(Permission.objects.values_list("content_type__model", "codename", "name"))
        ContentType.objects.all().delete()
        ContentType.objects.clear_cache()
        migrate()
        after = Permission.objects.values_list("content_type__model", "codename", "name")
        assert sorted(after) == before
        assert find_differences() == []

    def test_migration_keeps_existing_group_of_same_name(self) -> None:
        UserFactory().groups.add(Group.objects.create(name="operator"))
        migrate()
        assert permissions_of("operator") == set()
        assert [row.role for row in find_differences()] == ["operator"]

    def test_migration_adds_webhook_permissions_to_changed_groups(self) -> None:
        migrate()
        for name, permission in (
            ("operator", "change_execution"),
            ("administrator", "view_workflow"),
        ):
            group = Group.objects.get(name=name)
            group.permissions.set(Permission.objects.filter(codename=permission))
        migrate("holdfast", "0001")
        migrate()
        assert permissions_of("operator") == {
            "executions.add_comment",
            "executions.change_execution",
            "executions.redeliver_outgoingdelivery",
            "executions.view_outgoingdelivery",
            "executions.view_subscription",
        }
        assert permissions_of("administrator") == {"workflows.view_workflow"}

    def test_migration_keeps_abilities_of_users_and_groups(self) -> None:
        group = Group.objects.create(name="risk")
        group.permissions.add(Permission.objects.get(codename="change_workflow"))
        user = user_with("executions.change_execution")
        other = user_with("executions.view_execution")
        migrate()
        assert permissions_of("risk") == {
            "workflows.change_workflow",
            "workflows.change_entity_context",
        }
        user = type(user).objects.get(pk=user.pk)
        assert user.has_perm("executions.submit_execution")
        assert not other.has_perm("executions.submit_execution")


class TestCommand:
    @pytest.fixture(autouse=True)
    def _roles(self) -> None:
        reset_groups(find_differences())

    def test_command_changes_nothing_when_groups_match(self) -> None:
        assert run("create_roles") == "All groups match their roles.\n"

    def test_command_creates_missing_group(self) -> None:
        Group.objects.get(name="viewer").delete()
        assert "viewer: would be created" in run("create_roles", "--dry-run")
        assert not Group.objects.filter(name="viewer").exists()
        assert "viewer: created" in run("create_roles")
        assert find_differences() == []

    def test_command_reports_changed_group_and_keeps_it(self) -> None:
        group = Group.objects.get(name="viewer")
        group.permissions.add(Permission.objects.get(codename="view_auditentry"))
        group.permissions.remove(Permission.objects.get(codename="view_vote"))
        output = run("create_roles")
        assert "viewer: differs from its role, unchanged." in output
        assert "    - executions.view_vote\n    + workflows.view_auditentry\n" in output
        assert "workflows.view_auditentry" in permissions_of("viewer")

    def test_reset_adds_and_removes_permissions(self) -> None:
        for name in ("viewer", "designer"):
            group = Group.objects.get(name=name)
            group.permissions.set(Permission.objects.filter(codename="view_auditentry"))
        data = json.loads(run("create_roles", "viewer", "--reset", "--json"))
        assert data["dry_run"] is False
        assert [row["role"] for row in data["changed"]] == ["viewer"]
        assert data["changed"][0]["has_more"] == ["workflows.view_auditentry"]
        assert [row.role for row in find_differences()] == ["designer"]

    def test_command_fails_for_unknown_role(self) -> None:
        with pytest.raises(CommandError, match="“admin” is not a role"):
            run("create_roles", "admin")


def test_docs_list_the_same_permissions() -> None:
    text = (Path(settings.BASE_DIR) / "docs" / "reference" / "roles.md").read_text()
    documented: dict[str, set[str]] = {role: set() for role in ROLES}
    header: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "permissions":
            header = cells[1:-1]
        elif not line:
            header = []
        elif header and line.startswith("| `"):
            for name in re.findall(r"`([\w.{},]+)`", cells[0]):
                for role, mark in zip(header, cells[1:-1], strict=True):
                    documented[role] |= set(_expand(name)) if mark else set()
    assert documented == {role: set(wanted) for role, wanted in ROLES.items()}


def _expand(name: str) -> list[str]:
    """Expand ``a.{b,c}_d`` to ``a.b_d`` and ``a.c_d``."""
    found = re.fullmatch(r"(.*?)\{(.*?)\}(.*)", name)
    if not found:
        return [name]
    before, choices, after = found.groups()
    return [whole for choice in choices.split(",") for whole in _expand(f"{before}{choice}{after}")]
