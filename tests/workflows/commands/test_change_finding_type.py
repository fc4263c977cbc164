"""``manage.py change_finding_type``."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from executions import services as running
from tests.commands import run
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, RecordTypeFactory, UserFactory, WorkflowFactory
from workflows.models import AuditEntry, PendingChange, Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.sqlite,
    pytest.mark.usefixtures("invariants"),
]


def change(*arguments: str, **options: Any) -> str:
    return run("change_finding_type", *arguments, **options)


def types() -> set[str]:
    return set(Workflow.objects.values_list("entity_name_type__name", flat=True))


def test_group_is_changed_together_by_title_and_name(scenario: Scenario) -> None:
    user = UserFactory(username="ada")
    out = change("Workflow 3", "Workflow 4", "Policy Exception", by="ada", why="reorganized")
    assert "“Workflow 3”" in out
    assert "now has the type “Policy Exception” (version 1)." in out
    assert types() == {"Policy Exception"}
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.face, entry.who, entry.why) == ("command", "ada", "reorganized")
    assert scenario.caller.latest_version.created_by == user


def test_workflow_named_twice_is_changed_once(scenario: Scenario) -> None:
    cuids = [scenario.caller.cuid, scenario.callee.cuid, scenario.caller.cuid]
    result = json.loads(change(*cuids, scenario.exception.cuid, json=True))
    assert result["workflows"] == cuids[:2]
    assert {row["workflow"] for row in result["versions"]} == set(cuids)
    assert (result["on_hold"], result["pending_change"], result["dry_run"]) == (False, None, False)


def test_workflow_takes_a_record_type(scenario: Scenario) -> None:
    workflow = WorkflowFactory(title="Alone")
    change("Alone", RecordTypeFactory(name="Model").name)
    workflow.refresh_from_db()
    assert workflow.entity_name == "InventoryModel"


def test_unchanged_workflow_is_reported(scenario: Scenario) -> None:
    out = change("Workflow 3", "Workflow 4", "Model Limitation")
    assert "already has the type “Model Limitation”" in out


class TestRefusals:
    def test_refusal_lists_blockers_and_remedies(self, scenario: Scenario) -> None:
        execution = scenario.start()
        with pytest.raises(CommandError) as refused:
            change("Workflow 4", "Policy Exception")
        result = str(refused.value)
        assert result.startswith(
            "Cannot change finding type while this workflow has active executions. "
            "[active_executions]"
        )
        assert f"blocked by execution {execution.cuid} (waiting)" in result
        assert "what you can do: Finish or cancel 1 live execution first." in result
        assert refused.value.returncode == 1
        assert types() == {"Model Limitation"}

    def test_refusal_is_printed_as_json(self, scenario: Scenario) -> None:
        scenario.start()
        out = StringIO()
        with pytest.raises(CommandError):
            call_command(
                "change_finding_type", "Workflow 3", "Policy Exception", json=True, stdout=out
            )
        result = json.loads(out.getvalue())
        assert result["refused"]["code"] == "dependent_active_executions"
        assert result["refused"]["blockers"]["total"] == 2

    def test_refusal_is_recorded_except_in_a_dry_run(self, scenario: Scenario) -> None:
        scenario.start()
        before = AuditEntry.objects.count()
        with pytest.raises(CommandError):
            change("Workflow 4", "Policy Exception", dry_run=True)
        assert AuditEntry.objects.count() == before
        with pytest.raises(CommandError):
            change("Workflow 4", "Policy Exception")
        entry = AuditEntry.objects.first()
        assert entry is not None
        assert (entry.refused, entry.face) == (True, "command")


def test_dry_run_reports_versions_and_changes_nothing(scenario: Scenario) -> None:
    running.cancel(scenario.start())
    out = change("Workflow 3", "Workflow 4", "Policy Exception", dry_run=True)
    assert "would have the type “Policy Exception” (version 2)." in out
    assert types() == {"Model Limitation"}


class TestWhenDrained:
    def test_change_is_put_on_hold_until_executions_end(self, scenario: Scenario) -> None:
        execution = scenario.start()
        out = change("Workflow 3", "Workflow 4", "Policy Exception", when_drained=True)
        pending = PendingChange.objects.get()
        assert f"The change {pending.cuid} is on hold" in out
        running.cancel(execution)
        assert types() == {"Policy Exception"}

    def test_dry_run_puts_nothing_on_hold(self, scenario: Scenario) -> None:
        scenario.start()
        group = ("Workflow 3", "Workflow 4", "Policy Exception")
        assert "would be on hold" in change(*group, when_drained=True, dry_run=True)
        result = json.loads(change(*group, when_drained=True, dry_run=True, json=True))
        assert (result["on_hold"], result["pending_change"], result["versions"]) == (True, None, [])
        assert not PendingChange.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("Nothing", "Policy Exception"), "No workflow has the cuid or title 'Nothing'."),
        (("Workflow 4", "Nothing"), "No finding type or record type has the cuid or name"),
        (("Workflow 4", "\0"), "No finding type or record type has the cuid or name"),
        (("\0", "Policy Exception"), "No workflow has the cuid or title"),
        (("Twice", "Policy Exception"), "Several records have the title 'Twice'. Use a cuid"),
        (("Workflow 4", "Both"), "A finding type .* have the name 'Both'. Use a cuid"),
    ],
)
def test_unknown_or_ambiguous_name_is_an_error(
    scenario: Scenario, arguments: tuple[str, ...], sentence: str
) -> None:
    WorkflowFactory.create_batch(2, title="Twice", entity_name_type=scenario.limitation)
    FindingTypeFactory(name="Both")
    RecordTypeFactory(name="Both")
    with pytest.raises(CommandError, match=f"^{sentence}") as refused:
        change(*arguments)
    assert refused.value.returncode == 1


def test_unknown_user_is_an_error(scenario: Scenario) -> None:
    with pytest.raises(CommandError, match="No user has the name 'nobody'"):
        change("Workflow 3", "Policy Exception", by="nobody")


@pytest.mark.parametrize("arguments", [[], ["Workflow 4"], ["--nonsense"]])
def test_wrong_usage_is_an_error(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        change(*arguments)
