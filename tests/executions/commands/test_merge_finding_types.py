"""``manage.py merge_finding_types``: a merge is all or nothing."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from executions import services as running
from executions.integrity import find_violations
from executions.models import Finding
from tests.commands import run
from tests.conftest import Scenario
from tests.factories import FindingFactory, UserFactory, WorkflowFactory, form, save_line
from workflows.models import AuditEntry, FindingType, PendingChange, SavedFilter, Version, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]

MERGE = ("merge_finding_types", "Model Limitation", "Policy Exception")


def row_counts(scenario: Scenario) -> tuple[int, int, int, int]:
    """Return the numbers of types, and of the workflows, findings and versions of the type."""
    of_type = {"entity_name_type": scenario.limitation}
    return (
        FindingType.objects.count(),
        Workflow.objects.filter(**of_type).count(),
        Finding.objects.filter(**of_type).count(),
        Version.objects.filter(**of_type).count(),
    )


def create_versions(scenario: Scenario) -> None:
    """Create versions with and without executions and calls."""
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})
    save_line(scenario.caller, form("other"))
    FindingFactory(entity_name_type=scenario.limitation)


def test_merge_moves_everything_and_deletes_type(scenario: Scenario) -> None:
    create_versions(scenario)
    before = row_counts(scenario)
    planned = json.loads(run(*MERGE, dry_run=True, json=True))
    assert row_counts(scenario) == before
    done = json.loads(run(*MERGE, json=True, why="one name"))
    assert {**planned, "dry_run": False} == done
    assert (done["workflows"], done["findings"], done["versions"]) == before[1:]
    assert row_counts(scenario) == (1, 0, 0, 0)
    assert find_violations() == []
    caller = Workflow.objects.get(pk=scenario.caller.pk)
    running.start(caller, Finding.objects.get(pk=scenario.finding.pk))
    assert AuditEntry.objects.filter(why="one name", cuid=scenario.exception.cuid).exists()


def test_merge_is_refused_with_remedies_when_executions_are_live(scenario: Scenario) -> None:
    execution = scenario.start()
    before = row_counts(scenario)
    choices: list[dict[str, Any]] = [{"dry_run": True}, {}]
    for options in choices:
        with pytest.raises(CommandError) as refused:
            run(*MERGE, **options)
        assert "active executions" in str(refused.value)
        assert execution.cuid in str(refused.value) and "what you can do" in str(refused.value)
    out = StringIO()
    with pytest.raises(CommandError):
        call_command(*MERGE, json=True, stdout=out)
    assert json.loads(out.getvalue())["refused"]["code"] == "active_executions"
    assert row_counts(scenario) == before
    running.cancel(execution)
    assert "2 workflows" in run(*MERGE)


def test_merge_is_refused_when_change_to_first_type_is_pending(scenario: Scenario) -> None:
    free = WorkflowFactory(entity_name_type=scenario.exception)
    save_line(free, form())
    execution = running.start(free, FindingFactory(entity_name_type=scenario.exception))
    scenario.hold(free, entity_name_type=scenario.limitation)
    pending = PendingChange.objects.get()
    with pytest.raises(CommandError, match=f"--withdraw {pending.cuid}"):
        run(*MERGE)
    run("pending_changes", withdraw=pending.cuid)
    run(*MERGE)
    running.cancel(execution)


def test_merge_is_refused_when_both_types_have_creation_trigger(scenario: Scenario) -> None:
    for finding_type in (scenario.limitation, scenario.exception):
        WorkflowFactory(entity_name_type=finding_type, trigger="created")
    before = row_counts(scenario)
    with pytest.raises(CommandError, match="trigger_taken"):
        run(*MERGE)
    assert row_counts(scenario) == before


def test_merge_moves_retired_workflows(scenario: Scenario) -> None:
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
def test_merge_fails_for_wrong_type(scenario: Scenario, arguments: Any, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        run("merge_finding_types", *arguments)


def test_merge_changes_saved_filters_to_second_type(scenario: Scenario) -> None:
    unaffected, changed = (
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
    before = unaffected.query
    unaffected.refresh_from_db()
    assert unaffected.query == before
