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
from executions.models import Execution, Pin
from tests.commands import main
from tests.conftest import Scenario
from tests.executions.damage import unguarded

pytestmark = pytest.mark.django_db(transaction=True)

DRY_RUN = ("repair_executions", "--dry-run", "--json")
WRITING = ("INSERT", "UPDATE", "DELETE")


def by_another(act: Callable[[], object]) -> None:
    """Do something on a connection of its own, and commit it."""

    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def damage(execution: Execution) -> None:
    with unguarded():
        Pin.objects.filter(root=execution)._raw_delete("default")


def ask_another(execution: Execution) -> None:
    """Have the open step ask somebody whom its version does not name."""
    execution.steps.filter(node_id="form").update(assignees='{"users":["nobody"]}')


def before(
    monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object], *, times: int = 1
) -> list[str]:
    """Have another process act each time before the repair does this, so many times."""
    original = getattr(repairs, name)
    done: list[str] = []

    def acting(*arguments: Any) -> Any:
        if len(done) < times:
            done.append(name)
            by_another(act)
        return original(*arguments)

    monkeypatch.setattr(repairs, name, acting)
    return done


def planned() -> dict[str, Any]:
    code, out, err = main(*DRY_RUN)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.postgresql
def test_dry_run_does_not_see_damage_that_is_done_meanwhile(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = scenario.start(), scenario.start()
    ask_another(first)
    before(monkeypatch, "_mend_trees", lambda: ask_another(second))
    plan = planned()
    assert [row["cuid"] for row in plan["mended"]] == [first.cuid]
    assert plan["left"] == []
    # The next one sees both.
    assert {row["cuid"] for row in planned()["mended"]} == {first.cuid, second.cuid}


@pytest.mark.postgresql
def test_dry_run_begins_anew_when_others_change_what_it_would_mend(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = scenario.start()
    damage(execution)

    def go_on() -> None:
        Execution._base_manager.filter(pk=execution.pk).update(stage="later")

    done = before(monkeypatch, "_mend_trees", go_on)
    assert [row["cuid"] for row in planned()["mended"]] == [execution.cuid]
    assert done == ["_mend_trees"]
    assert not Pin.objects.filter(root=execution).exists(), "nothing was written"


@pytest.mark.postgresql
def test_dry_run_gives_up_when_others_keep_changing_what_it_would_mend(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = scenario.start()
    damage(execution)

    def go_on() -> None:
        Execution._base_manager.filter(pk=execution.pk).update(stage="later")

    before(monkeypatch, "_mend_trees", go_on, times=100)
    code, out, err = main(*DRY_RUN)
    assert code == 1 and out == ""
    assert "Nothing was written" in err and "Traceback" not in err


def test_dry_run_writes_nothing_when_nothing_is_wrong(scenario: Scenario) -> None:
    scenario.start()
    with CaptureQueriesContext(connection) as captured:
        assert planned() == {"dry_run": True, "mended": [], "left": []}
    statements = [query["sql"] for query in captured]
    assert [sql for sql in statements if sql.startswith(WRITING) or "FOR UPDATE" in sql] == []
    beginning = "BEGIN DEFERRED" if connection.vendor == "sqlite" else "BEGIN"
    assert statements[0] == beginning
    if connection.vendor == "postgresql":
        assert "REPEATABLE READ" in statements[1]


def test_dry_run_says_that_nothing_was_written_when_it_is_interrupted(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = scenario.start()
    damage(execution)

    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(repairs, "_mend_trees", interrupted)
    code, _, err = main(*DRY_RUN)
    assert code == 1 and "Nothing was written" in err
    assert not Pin.objects.filter(root=execution).exists()
