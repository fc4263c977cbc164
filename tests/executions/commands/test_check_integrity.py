"""``manage.py check_integrity``: every kind of damage is found."""

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

from executions.integrity import find_violations
from executions.management.commands import check_integrity
from executions.models import ClosureMember
from tests.conftest import Scenario
from tests.databases import address_for_processes
from tests.executions.damage import UNREPAIRABLE, DamageTarget, change, unguarded
from tests.factories import WorkflowFactory, call, save_line
from tests.test_query_counts import statements
from workflows.db import write_once
from workflows.models import Unsealed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def target(scenario: Scenario) -> DamageTarget:
    return DamageTarget(scenario)


# The tests of repairs check the same for the damage that a command repairs.
@pytest.mark.parametrize("name", UNREPAIRABLE)
def test_check_finds_damage_with_invariant_cuid_and_remedy(target: DamageTarget, name: str) -> None:
    assert find_violations() == []
    invariant, damage = UNREPAIRABLE[name]
    with unguarded():
        cuid = damage(target)
    found = find_violations()
    assert (invariant, cuid) in [(row.invariant, row.cuid) for row in found]
    assert all(row.remedy for row in found)
    with pytest.raises(CommandError, match="found"):
        call_command("check_integrity", stdout=StringIO())


def test_check_finds_live_root_that_has_a_parent(target: DamageTarget) -> None:
    with unguarded():
        change(target.child, root=None)
    found = [(row.cuid, row.detail) for row in find_violations()]
    assert (target.child.cuid, "It has a parent, but no root.") in found


def test_check_truncates_long_list_and_counts_the_rest(
    target: DamageTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        Unsealed.objects.create(table_name="workflows_version", row_id=number, why="forgotten")
    monkeypatch.setattr(check_integrity, "LISTED", 3)

    def lines(**options: Any) -> list[str]:
        out = StringIO()
        with pytest.raises(CommandError, match="5 violations found"):
            call_command("check_integrity", stdout=out, **options)
        return out.getvalue().splitlines()

    assert lines()[-1] == "… and 2 more (--all lists them)."
    assert lines()[1] == "    What you can do: manage.py repair_executions"
    assert len(lines(all=True)) == 10


def test_check_finds_missing_write_once_trigger(target: DamageTarget) -> None:
    write_once.remove(connection)
    try:
        assert "executions_execution_final" in [row.cuid for row in find_violations()]
    finally:
        write_once.install(connection)


def test_check_passes_for_undamaged_database(target: DamageTarget) -> None:
    out = StringIO()
    call_command("check_integrity", stdout=out)
    assert out.getvalue().strip() == "All invariants hold."


def test_check_lists_violations_as_json(target: DamageTarget) -> None:
    out = StringIO()
    call_command("check_integrity", json=True, stdout=out)
    assert json.loads(out.getvalue()) == {"violations": [], "total": 0}
    Unsealed.objects.create(table_name="workflows_version", row_id=7, why="forgotten")
    out = StringIO()
    with pytest.raises(CommandError, match="1 violation found"):
        call_command("check_integrity", json=True, stdout=out)
    data = json.loads(out.getvalue())
    assert (data["total"], data["violations"][0]["invariant"]) == (1, "write_once")
    assert ClosureMember.objects.exists()


def test_check_takes_no_locks_and_constant_number_of_queries(
    target: DamageTarget, django_assert_max_num_queries: Any
) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert find_violations() == []
    for _ in range(10):
        target.scenario.start()
        save_line(
            WorkflowFactory(entity_name_type=target.scenario.limitation),
            call(target.scenario.callee),
        )
    with django_assert_max_num_queries(len(captured)):
        assert find_violations() == []


def test_check_of_empty_database_takes_at_most_24_statements() -> None:
    assert statements(find_violations) <= 24


def test_check_of_undamaged_database_takes_at_most_30_statements(target: DamageTarget) -> None:
    assert statements(find_violations) <= 30


def test_check_opens_its_own_connection_when_run_as_process(tmp_path: Any) -> None:
    environment = {**os.environ, "DEBUG": "1", "DATABASE_URL": address_for_processes(tmp_path)}
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    checked = subprocess.run([*manage, "check_integrity"], env=environment, capture_output=True)
    assert (checked.returncode, checked.stdout) == (0, b"All invariants hold.\n"), checked.stderr
