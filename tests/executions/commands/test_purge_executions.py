"""``manage.py purge_executions``: what ended long ago goes, and nothing else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import models
from django.utils import timezone

from executions import services as running
from executions.integrity import violations
from executions.management.commands import purge_executions
from executions.models import Delivery, Execution, Job, Pin, Step, Vote
from executions.services import purging
from tests.commands import main, run
from tests.conftest import Scenario
from tests.executions.damage import change, unguarded
from tests.factories import FindingFactory, drawn, form
from workflows.models import AuditEntry, Version

pytestmark = pytest.mark.django_db(transaction=True)


def aged(execution: Execution, days: int = 100) -> Execution:
    """As if it had ended so long ago."""
    moment = timezone.now() - timedelta(days=days)
    Execution._base_manager.filter(pk=execution.pk).update(ended_at=moment)
    return execution


def ended(scenario: Scenario, days: int = 100) -> Execution:
    """One that has called another, and ended so long ago."""
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})
    return aged(execution, days)


def purge(*arguments: str, **options: Any) -> dict[str, Any]:
    """What the command tells as JSON."""
    found: dict[str, Any] = json.loads(
        run("purge_executions", "--older-than", "90d", "--json", *arguments, **options)
    )
    return found


def left() -> set[int]:
    return set(Execution.objects.filter(root=None).values_list("pk", flat=True))


def test_what_ended_long_ago_goes_with_all_that_it_started(scenario: Scenario) -> None:
    old, young = ended(scenario), ended(scenario, days=10)
    live = scenario.start()
    planned = purge("--dry-run")
    assert left() == {old.pk, young.pk, live.pk}
    done = purge()
    assert {**planned, "dry_run": False} == done
    assert done["trees"] == 1 and done["rows"]["execution"] == 2 and done["rows"]["pin"] == 1
    assert left() == {young.pk, live.pk}
    assert not Step.objects.filter(execution=old.pk).exists()
    assert not Pin.objects.filter(root=old.pk).exists()
    assert violations() == []
    assert purge()["trees"] == 0
    entry = AuditEntry.objects.get(action="deleted", kind="execution")
    assert entry.before["executions"] == [old.cuid]


def test_the_last_execution_of_an_entity_can_be_kept(scenario: Scenario) -> None:
    first, last = ended(scenario), ended(scenario)
    alone = aged(running.cancel(running.start(scenario.callee, other(scenario))) or first)
    done = purge("--keep-last")
    assert left() == {last.pk, alone.pk}
    assert done["kept"]["the last execution of its entity"]["number"] == 2


def other(scenario: Scenario) -> Any:
    drawn(scenario.callee, form("inner"))
    return FindingFactory(entity_name_type=scenario.limitation)


def test_a_tree_in_which_something_is_live_is_kept_and_named(scenario: Scenario) -> None:
    drawn(scenario.callee, form("inner"))
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})
    with unguarded():
        change(execution, status="cancelled", ended_at=timezone.now() - timedelta(days=100))
    done = purge()
    assert left() == {execution.pk}
    assert done["kept"]["something in the tree is live"]["cuids"] == [execution.cuid]


def test_whatever_else_points_at_an_execution_keeps_its_tree(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = ended(scenario)
    plan = purging.Plan.read()
    plan.keeps = [purging.Pointing(Step, "execution")]
    monkeypatch.setattr(purging.Plan, "read", lambda: plan)
    assert purge()["kept"]["something else needs it"]["cuids"] == [execution.cuid]
    assert left() == {execution.pk}


def test_the_plan_knows_every_key_to_an_execution() -> None:
    plan = purging.Plan.read()
    order = [row.model for row in plan.goes]
    assert {Step, Pin, Job, Vote} <= set(order)
    assert Delivery in [row.model for row in plan.lets_go]
    assert order.index(Job) < order.index(Step) and order.index(Vote) < order.index(Step)
    for model in order:
        keys = [f for f in model._meta.concrete_fields if isinstance(f, models.ForeignKey)]
        assert any(key.related_model in (Execution, Step) for key in keys)


def test_versions_that_nobody_has_can_go_too(scenario: Scenario) -> None:
    ended(scenario)
    drawn(scenario.caller, form("other"))
    scenario.start()
    drawn(scenario.caller, form("third"))
    assert purge("--versions", "--dry-run")["versions"] == 0, "an execution has it still"
    done = purge("--versions")
    assert done["versions"] == 1
    assert list(Version.objects.filter(workflow=scenario.caller).values_list("number", flat=True))
    assert done["kept"]["an execution or a pin has the version"]["number"] == 1
    assert violations() == []


def test_what_somebody_is_at_is_left_for_the_next_time(scenario: Scenario) -> None:
    for _ in range(5):
        ended(scenario)
    assert "5 trees deleted" in run("purge_executions", "--older-than", "1h", "--batch", "2")


def test_an_interruption_tells_what_has_gone(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        ended(scenario)
    batches = purging.purge

    def interrupted(*arguments: Any, **options: Any) -> Any:
        yield next(batches(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(purge_executions, "purge", interrupted)
    code, out, err = main("purge_executions", "--older-than", "90d", "--batch", "1", "--json")
    assert code == 1 and "Interrupted" in err
    assert json.loads(out)["trees"] == 1
    assert len(left()) == 2
    assert violations() == []


@pytest.mark.parametrize("wrong", ["90", "d", "90y", "-1d", "-P1D", "P", "1 fortnight"])
def test_a_length_that_is_none_is_argparses(wrong: str) -> None:
    with pytest.raises(CommandError, match="a length such as 90d"):
        run("purge_executions", f"--older-than={wrong}")
