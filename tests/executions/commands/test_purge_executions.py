"""``manage.py purge_executions``: executions that ended long ago are deleted, and no others."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import models
from django.utils import timezone

from executions import services as running
from executions.integrity import find_violations
from executions.management.commands import purge_executions
from executions.models import Closure, Delivery, Execution, Job, Step, Vote
from executions.services import purging
from tests.commands import main, run
from tests.conftest import Scenario
from tests.executions.damage import change, unguarded
from tests.factories import FindingFactory, form, save_line
from workflows.models import AuditEntry, Version

pytestmark = pytest.mark.django_db(transaction=True)


def set_end(execution: Execution, days: int = 100) -> Execution:
    """Set the end of an execution to so many days ago."""
    moment = timezone.now() - timedelta(days=days)
    Execution._base_manager.filter(pk=execution.pk).update(ended_at=moment)
    return execution


def run_to_end(scenario: Scenario, days: int = 100) -> Execution:
    """Return an execution with a child that ended so many days ago."""
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})
    return set_end(execution, days)


def purge(*arguments: str, **options: Any) -> dict[str, Any]:
    """Return the JSON output of the command."""
    found: dict[str, Any] = json.loads(
        run("purge_executions", "--older-than", "90d", "--json", *arguments, **options)
    )
    return found


def root_ids() -> set[int]:
    return set(Execution.objects.filter(root=None).values_list("pk", flat=True))


def test_purge_deletes_tree_that_ended_long_ago(scenario: Scenario) -> None:
    old, young = run_to_end(scenario), run_to_end(scenario, days=10)
    live = scenario.start()
    planned = purge("--dry-run")
    assert root_ids() == {old.pk, young.pk, live.pk}
    done = purge()
    assert {**planned, "dry_run": False} == done
    assert done["trees"] == 1 and done["rows"]["execution"] == 2
    assert root_ids() == {young.pk, live.pk}
    assert not Step.objects.filter(execution=old.pk).exists()
    assert Closure.objects.count() == 1, "the other trees share it"
    assert find_violations() == []
    assert purge()["trees"] == 0
    entry = AuditEntry.objects.get(action="deleted", kind="execution")
    assert entry.before["executions"] == [old.cuid]


def test_keep_last_option_keeps_last_execution_of_entity(scenario: Scenario) -> None:
    first, last = run_to_end(scenario), run_to_end(scenario)
    alone = set_end(
        running.cancel(running.start(scenario.callee, create_callee_finding(scenario))) or first
    )
    done = purge("--keep-last")
    assert root_ids() == {last.pk, alone.pk}
    assert done["retained"]["it is the last execution of its entity"]["number"] == 2


def create_callee_finding(scenario: Scenario) -> Any:
    save_line(scenario.callee, form("inner"))
    return FindingFactory(entity_name_type=scenario.limitation)


def test_purge_keeps_tree_with_live_child(scenario: Scenario) -> None:
    save_line(scenario.callee, form("inner"))
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})
    with unguarded():
        change(execution, status="cancelled", ended_at=timezone.now() - timedelta(days=100))
    done = purge()
    assert root_ids() == {execution.pk}
    assert done["retained"]["an execution of the tree is live"]["cuids"] == [execution.cuid]


def test_purge_keeps_tree_that_another_row_needs(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = run_to_end(scenario)
    plan = purging.Plan.read()
    plan.protecting = [purging.Referrer(Step, "execution")]
    monkeypatch.setattr(purging.Plan, "read", lambda: plan)
    assert purge()["retained"]["other rows refer to it"]["cuids"] == [execution.cuid]
    assert root_ids() == {execution.pk}


def test_plan_includes_every_foreign_key_to_executions() -> None:
    plan = purging.Plan.read()
    order = [row.model for row in plan.deleted]
    assert {Step, Job, Vote} <= set(order)
    assert Delivery in [row.model for row in plan.detached]
    assert order.index(Job) < order.index(Step) and order.index(Vote) < order.index(Step)
    for model in order:
        keys = [f for f in model._meta.concrete_fields if isinstance(f, models.ForeignKey)]
        assert any(key.related_model in (Execution, Step) for key in keys)


def test_versions_option_deletes_unused_versions(scenario: Scenario) -> None:
    run_to_end(scenario)
    save_line(scenario.caller, form("other"))
    scenario.start()
    save_line(scenario.caller, form("third"))
    assert purge("--versions", "--dry-run")["versions"] == 0, "an execution uses it"
    done = purge("--versions")
    assert done["versions"] == 1
    assert list(Version.objects.filter(workflow=scenario.caller).values_list("number", flat=True))
    assert done["retained"]["an execution runs the version or has pinned it"]["number"] == 1
    assert find_violations() == []


def test_batch_option_sets_trees_per_transaction(scenario: Scenario) -> None:
    for _ in range(5):
        run_to_end(scenario)
    assert "5 trees deleted" in run("purge_executions", "--older-than", "1h", "--batch", "2")


def test_interrupted_purge_reports_deleted_trees(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        run_to_end(scenario)
    batches = purging.purge

    def interrupt(*arguments: Any, **options: Any) -> Any:
        yield next(batches(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(purge_executions, "purge", interrupt)
    code, out, err = main("purge_executions", "--older-than", "90d", "--batch", "1", "--json")
    assert code == 1 and "Interrupted" in err
    assert json.loads(out)["trees"] == 1
    assert len(root_ids()) == 2
    assert find_violations() == []


@pytest.mark.parametrize("wrong", ["90", "d", "90y", "-1d", "-P1D", "P", "1 fortnight"])
def test_purge_rejects_invalid_duration(wrong: str) -> None:
    with pytest.raises(CommandError, match="a duration such as 90d"):
        run("purge_executions", f"--older-than={wrong}")
