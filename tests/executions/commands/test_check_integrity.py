"""``manage.py check_integrity``: every kind of damage is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.integrity import violations
from executions.management.commands import check_integrity
from executions.models import Pin
from tests.conftest import Scenario
from tests.databases import address_for_processes
from tests.executions.damage import CHOSEN, MENDABLE, World, change, unguarded
from tests.factories import WorkflowFactory, call, drawn
from tests.test_query_counts import statements
from workflows.db import write_once
from workflows.models import Unsealed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(scenario: Scenario) -> World:
    return World(scenario)


@pytest.mark.parametrize("name", [*MENDABLE, *CHOSEN])
def test_every_kind_of_damage_is_named_by_its_law_and_cuid_with_what_helps(
    world: World, name: str
) -> None:
    assert violations() == []
    law, damage = {**MENDABLE, **CHOSEN}[name]
    with unguarded():
        cuid = damage(world)
    found = violations()
    assert (law, cuid) in [(row.law, row.cuid) for row in found]
    assert all(row.remedy for row in found)
    with pytest.raises(CommandError, match="found"):
        call_command("check_integrity", stdout=StringIO())


def test_check_finds_live_root_that_has_a_parent(world: World) -> None:
    with unguarded():
        change(world.child, root=None)
    found = [(row.cuid, row.detail) for row in violations()]
    assert (world.child.cuid, "It was called by another, but is the root of a tree.") in found


def test_a_long_list_is_cut_and_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        Unsealed.objects.create(table_name="workflows_version", row_id=number, why="forgotten")
    monkeypatch.setattr(check_integrity, "LISTED", 3)

    def lines(**options: Any) -> list[str]:
        out = StringIO()
        with pytest.raises(CommandError, match="5 violations found"):
            call_command("check_integrity", stdout=out, **options)
        return out.getvalue().splitlines()

    assert lines()[-1] == "… and 2 more (--all lists them)."
    assert lines()[1] == "    what helps: manage.py repair_executions"
    assert len(lines(all=True)) == 10


def test_a_seal_that_is_missing_is_named(world: World) -> None:
    write_once.remove(connection)
    try:
        assert "executions_execution_final" in [row.cuid for row in violations()]
    finally:
        write_once.install(connection)


def test_a_sound_database_passes_and_says_so(world: World) -> None:
    out = StringIO()
    call_command("check_integrity", stdout=out)
    assert out.getvalue().strip() == "Every law holds."


def test_json_lists_the_violations(world: World) -> None:
    out = StringIO()
    call_command("check_integrity", json=True, stdout=out)
    assert json.loads(out.getvalue()) == {"violations": [], "total": 0}
    Unsealed.objects.create(table_name="workflows_version", row_id=7, why="forgotten")
    out = StringIO()
    with pytest.raises(CommandError, match="1 violation found"):
        call_command("check_integrity", json=True, stdout=out)
    told = json.loads(out.getvalue())
    assert (told["total"], told["violations"][0]["law"]) == (1, "seal")
    assert Pin.objects.exists()


def test_it_keeps_no_writer_waiting_and_takes_a_constant_number_of_queries(
    world: World, django_assert_max_num_queries: Any
) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert violations() == []
    for _ in range(10):
        world.scenario.start()
        drawn(
            WorkflowFactory(entity_name_type=world.scenario.limitation), call(world.scenario.callee)
        )
    with django_assert_max_num_queries(len(captured)):
        assert violations() == []


def test_check_of_empty_database_takes_at_most_23_statements() -> None:
    assert statements(violations) <= 23


def test_check_of_sound_database_takes_at_most_28_statements(world: World) -> None:
    assert statements(violations) <= 28


def test_it_is_the_first_to_connect(tmp_path: Any) -> None:
    environment = {**os.environ, "DEBUG": "1", "DATABASE_URL": address_for_processes(tmp_path)}
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    checked = subprocess.run([*manage, "check_integrity"], env=environment, capture_output=True)
    assert (checked.returncode, checked.stdout) == (0, b"Every law holds.\n"), checked.stderr
