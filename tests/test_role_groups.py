"""The groups of the roles: made once, a maintainer's own from then on, compared when asked."""

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
from workflows_project.auth.roles import ROLES, differences, put_right

pytestmark = pytest.mark.django_db


def migrate(*target: str, **options: Any) -> None:
    call_command("migrate", *target, verbosity=0, **options)


def held(group: str) -> set[str]:
    rows = Permission.objects.filter(group__name=group)
    named = rows.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in named}


@pytest.mark.django_db(transaction=True)
class TestTheMigration:
    @pytest.fixture(autouse=True)
    def _before(self, transactional_db: None) -> Iterator[None]:
        migrate("holdfast", "zero", fake=True)
        Group.objects.all().delete()
        yield
        migrate()

    def test_it_makes_every_role(self) -> None:
        migrate()
        assert differences() == []
        assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)

    def test_it_makes_the_permissions_that_a_new_database_lacks(self) -> None:
        before = sorted(Permission.objects.values_list("content_type__model", "codename", "name"))
        ContentType.objects.all().delete()
        ContentType.objects.clear_cache()
        migrate()
        after = Permission.objects.values_list("content_type__model", "codename", "name")
        assert sorted(after) == before
        assert differences() == []

    def test_a_group_of_that_name_is_left_alone(self) -> None:
        UserFactory().groups.add(Group.objects.create(name="operator"))
        migrate()
        assert held("operator") == set()
        assert [row.role for row in differences()] == ["operator"]

    def test_webhooks_are_given_to_those_who_do_what_the_role_is_for(self) -> None:
        migrate()
        for name, kept in (("operator", "change_execution"), ("administrator", "view_workflow")):
            group = Group.objects.get(name=name)
            group.permissions.set(Permission.objects.filter(codename=kept))
        migrate("holdfast", "0001", fake=True)
        migrate()
        assert held("operator") == {
            "executions.change_execution",
            "executions.redeliver_outgoingdelivery",
            "executions.view_outgoingdelivery",
            "executions.view_subscription",
        }
        assert held("administrator") == {"workflows.view_workflow"}

    def test_nobody_loses_what_they_could_do_before(self) -> None:
        group = Group.objects.create(name="risk")
        group.permissions.add(Permission.objects.get(codename="change_workflow"))
        user = user_with("executions.change_execution")
        other = user_with("executions.view_execution")
        migrate()
        assert held("risk") == {"workflows.change_workflow", "workflows.change_entity_context"}
        user = type(user).objects.get(pk=user.pk)
        assert user.has_perm("executions.submit_execution")
        assert not other.has_perm("executions.submit_execution")


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def _roles(self) -> None:
        put_right(differences())

    def test_nothing_to_do(self) -> None:
        assert run("create_roles") == "The groups are what their roles are.\n"

    def test_what_is_missing_is_made(self) -> None:
        Group.objects.get(name="viewer").delete()
        assert "viewer: would be made" in run("create_roles", "--dry-run")
        assert not Group.objects.filter(name="viewer").exists()
        assert "viewer: made" in run("create_roles")
        assert differences() == []

    def test_what_a_maintainer_has_changed_is_told_and_left(self) -> None:
        group = Group.objects.get(name="viewer")
        group.permissions.add(Permission.objects.get(codename="view_auditentry"))
        group.permissions.remove(Permission.objects.get(codename="view_vote"))
        told = run("create_roles")
        assert "viewer: differs from its role, left as it is." in told
        assert "    - executions.view_vote\n    + workflows.view_auditentry\n" in told
        assert "workflows.view_auditentry" in held("viewer")

    def test_a_reset_gives_and_takes(self) -> None:
        for name in ("viewer", "designer"):
            group = Group.objects.get(name=name)
            group.permissions.set(Permission.objects.filter(codename="view_auditentry"))
        told = json.loads(run("create_roles", "viewer", "--reset", "--json"))
        assert told["dry_run"] is False
        assert [row["role"] for row in told["changed"]] == ["viewer"]
        assert told["changed"][0]["has_more"] == ["workflows.view_auditentry"]
        assert [row.role for row in differences()] == ["designer"]

    def test_a_role_that_there_is_not(self) -> None:
        with pytest.raises(CommandError, match="“admin” is no role: viewer, participant"):
            run("create_roles", "admin")


def test_the_documentation_has_the_same_table() -> None:
    text = (Path(settings.BASE_DIR) / "docs" / "reference" / "roles.md").read_text()
    told: dict[str, set[str]] = {role: set() for role in ROLES}
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
                    told[role] |= set(_spelled_out(name)) if mark else set()
    assert told == {role: set(wanted) for role, wanted in ROLES.items()}


def _spelled_out(name: str) -> list[str]:
    """``a.{b,c}_d`` as ``a.b_d`` and ``a.c_d``."""
    found = re.fullmatch(r"(.*?)\{(.*?)\}(.*)", name)
    if not found:
        return [name]
    before, choices, after = found.groups()
    return [
        whole for choice in choices.split(",") for whole in _spelled_out(f"{before}{choice}{after}")
    ]
