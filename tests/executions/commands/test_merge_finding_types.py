"""``manage.py merge_finding_types``: all or nothing."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from executions import services as running
from executions.integrity import violations
from executions.models import Finding
from tests.commands import run
from tests.conftest import Scenario
from tests.factories import FindingFactory, UserFactory, WorkflowFactory, drawn, form
from workflows.models import AuditEntry, FindingType, PendingChange, SavedFilter, Version, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("laws")]

MERGE = ("merge_finding_types", "Model Limitation", "Policy Exception")


def counted(scenario: Scenario) -> tuple[int, int, int, int]:
    """What there is of the type that goes."""
    kind = {"entity_name_type": scenario.limitation}
    return (
        FindingType.objects.count(),
        Workflow.objects.filter(**kind).count(),
        Finding.objects.filter(**kind).count(),
        Version.objects.filter(**kind).count(),
    )


def used(scenario: Scenario) -> None:
    """Versions that have run, one of them of a graph that calls."""
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})
    drawn(scenario.caller, form("other"))
    FindingFactory(entity_name_type=scenario.limitation)


def test_everything_moves_and_the_type_is_gone(scenario: Scenario) -> None:
    used(scenario)
    before = counted(scenario)
    planned = json.loads(run(*MERGE, dry_run=True, json=True))
    assert counted(scenario) == before
    done = json.loads(run(*MERGE, json=True, why="one name"))
    assert {**planned, "dry_run": False} == done
    assert (done["workflows"], done["findings"], done["versions"]) == before[1:]
    assert counted(scenario) == (1, 0, 0, 0)
    assert violations() == []
    caller = Workflow.objects.get(pk=scenario.caller.pk)
    running.start(caller, Finding.objects.get(pk=scenario.finding.pk))
    assert AuditEntry.objects.filter(why="one name", cuid=scenario.exception.cuid).exists()


def test_live_executions_refuse_it_with_what_helps(scenario: Scenario) -> None:
    execution = scenario.start()
    before = counted(scenario)
    choices: list[dict[str, Any]] = [{"dry_run": True}, {}]
    for options in choices:
        with pytest.raises(CommandError) as refused:
            run(*MERGE, **options)
        assert "active executions" in str(refused.value)
        assert execution.cuid in str(refused.value) and "what helps" in str(refused.value)
    out = StringIO()
    with pytest.raises(CommandError):
        call_command(*MERGE, json=True, stdout=out)
    assert json.loads(out.getvalue())["refused"]["code"] == "active_executions"
    assert counted(scenario) == before
    running.cancel(execution)
    assert "2 workflows" in run(*MERGE)


def test_a_change_on_hold_that_leads_there_refuses_it(scenario: Scenario) -> None:
    free = WorkflowFactory(entity_name_type=scenario.exception)
    drawn(free, form())
    execution = running.start(free, FindingFactory(entity_name_type=scenario.exception))
    scenario.hold(free, entity_name_type=scenario.limitation)
    pending = PendingChange.objects.get()
    with pytest.raises(CommandError, match=f"--withdraw {pending.cuid}"):
        run(*MERGE)
    run("pending_changes", withdraw=pending.cuid)
    run(*MERGE)
    running.cancel(execution)


def test_what_starts_on_creation_refuses_it_where_both_have_one(scenario: Scenario) -> None:
    for kind in (scenario.limitation, scenario.exception):
        WorkflowFactory(entity_name_type=kind, trigger="created")
    before = counted(scenario)
    with pytest.raises(CommandError, match="trigger_taken"):
        run(*MERGE)
    assert counted(scenario) == before


def test_retired_workflows_move_along(scenario: Scenario) -> None:
    retired = WorkflowFactory(entity_name_type=scenario.limitation, state="retired")
    run(*MERGE)
    retired.refresh_from_db()
    assert retired.entity_name_type == scenario.exception


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("Model Limitation", "Nothing"), "No finding type has the cuid or name 'Nothing'"),
        (("Model Limitation", "Model Limitation"), "A type cannot be merged into itself"),
    ],
)
def test_what_cannot_be_merged(scenario: Scenario, arguments: Any, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        run("merge_finding_types", *arguments)


def test_a_saved_filter_by_the_type_is_one_by_the_other(scenario: Scenario) -> None:
    kept, changed = (
        SavedFilter.objects.create(
            user=UserFactory(),
            list="executions.execution",
            name="By type",
            query=f"live=yes&workflow__entity_name_type__id__exact={pk}",
        )
        for pk in (scenario.exception.pk + 1_000, scenario.limitation.pk)
    )
    call_command(*MERGE, stdout=StringIO())
    changed.refresh_from_db()
    assert (
        changed.query == f"live=yes&workflow__entity_name_type__id__exact={scenario.exception.pk}"
    )
    before = kept.query
    kept.refresh_from_db()
    assert kept.query == before
