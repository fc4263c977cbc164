"""``manage.py repair_executions --dry-run`` reads one snapshot of the database."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import repairs
from executions.models import Execution
from tests.commands import main
from tests.conftest import Scenario
from tests.executions.damage import unguarded

pytestmark = pytest.mark.django_db(transaction=True)

DRY_RUN = ("repair_executions", "--dry-run", "--json")
WRITING = ("INSERT", "UPDATE", "DELETE")


def run_on_other_connection(act: Callable[[], object]) -> None:
    """Run a function on another connection, and commit its changes."""

    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def delete_pins(execution: Execution) -> None:
    with unguarded():
        execution.pins._raw_delete("default")


def change_assignees(execution: Execution) -> None:
    """Give the open step assignees that its version does not name."""
    execution.steps.filter(node_id="form").update(assignees='{"users":["nobody"]}')


def run_before(
    monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object], *, times: int = 1
) -> list[str]:
    """Run a function on another connection before the named function, at most so many times."""
    original = getattr(repairs, name)
    done: list[str] = []

    def patched(*arguments: Any) -> Any:
        if len(done) < times:
            done.append(name)
            run_on_other_connection(act)
        return original(*arguments)

    monkeypatch.setattr(repairs, name, patched)
    return done


def run_dry() -> dict[str, Any]:
    code, out, err = main(*DRY_RUN)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.postgresql
def test_dry_run_ignores_damage_after_its_snapshot(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = scenario.start(), scenario.start()
    change_assignees(first)
    run_before(monkeypatch, "_repair_trees", lambda: change_assignees(second))
    plan = run_dry()
    assert [row["cuid"] for row in plan["repaired"]] == [first.cuid]
    assert plan["unresolved"] == []
    # The next run has a new snapshot.
    assert {row["cuid"] for row in run_dry()["repaired"]} == {first.cuid, second.cuid}


@pytest.mark.postgresql
def test_dry_run_starts_again_when_others_change_its_rows(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = scenario.start()
    delete_pins(execution)

    def change_stage() -> None:
        Execution._base_manager.filter(pk=execution.pk).update(stage="later")

    done = run_before(monkeypatch, "_repair_trees", change_stage)
    assert [row["cuid"] for row in run_dry()["repaired"]] == [execution.cuid]
    assert done == ["_repair_trees"]
    assert not execution.pins.exists(), "the dry run is rolled back"


@pytest.mark.postgresql
def test_dry_run_fails_when_others_keep_changing_its_rows(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = scenario.start()
    delete_pins(execution)

    def change_stage() -> None:
        Execution._base_manager.filter(pk=execution.pk).update(stage="later")

    run_before(monkeypatch, "_repair_trees", change_stage, times=100)
    code, out, err = main(*DRY_RUN)
    assert code == 1 and out == ""
    assert "Nothing was changed" in err and "Traceback" not in err


def test_dry_run_takes_no_locks_without_violations(scenario: Scenario) -> None:
    scenario.start()
    with CaptureQueriesContext(connection) as captured:
        assert run_dry() == {"dry_run": True, "repaired": [], "unresolved": []}
    statements = [query["sql"] for query in captured]
    assert [sql for sql in statements if sql.startswith(WRITING) or "FOR UPDATE" in sql] == []
    begin = "BEGIN DEFERRED" if connection.vendor == "sqlite" else "BEGIN"
    assert statements[0] == begin
    if connection.vendor == "postgresql":
        assert "REPEATABLE READ" in statements[1]


def test_dry_run_changes_nothing_when_interrupted(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = scenario.start()
    delete_pins(execution)

    def interrupt(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(repairs, "_repair_trees", interrupt)
    code, _, err = main(*DRY_RUN)
    assert code == 1 and "Nothing was changed" in err
    assert not execution.pins.exists()
