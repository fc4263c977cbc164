"""``manage.py pending_changes`` and ``manage.py audit_log``."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from executions import services as running
from executions.models import Execution
from tests.commands import run
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, call, save_line
from workflows import guards
from workflows.models import AuditEntry, PendingChange

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.sqlite,
    pytest.mark.usefixtures("invariants"),
]


def test_empty_list_is_reported(db: None) -> None:
    assert run("pending_changes") == "No changes are on hold.\n"
    assert json.loads(run("pending_changes", json=True)) == []


def test_waiting_change_is_listed(pending: PendingChange) -> None:
    out = run("pending_changes")
    assert f"{pending.cuid}  waiting: “Workflow 3”, “Workflow 4” to Policy Exception" in out
    assert "requested by ada on " in out
    assert "reason: Reclassified" in out
    (result,) = json.loads(run("pending_changes", json=True))
    assert (result["cuid"], result["state"], result["asked_by"]) == (pending.cuid, "waiting", "ada")


def test_applied_change_is_listed_with_all(pending: PendingChange) -> None:
    running.cancel(Execution.objects.get())
    assert "No changes" in run("pending_changes")
    assert "applied: " in run("pending_changes", all=True)


def test_failed_change_is_listed_with_its_reason(
    scenario: Scenario, pending: PendingChange
) -> None:
    other = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(scenario.callee, call(other))
    running.cancel(Execution.objects.get())
    assert "could not be applied: Run Workflow: Incompatible entity name types." in run(
        "pending_changes"
    )


def test_change_is_withdrawn(pending: PendingChange) -> None:
    assert "Would withdraw" in run("pending_changes", withdraw=pending.cuid, dry_run=True)
    assert PendingChange.objects.exists()
    assert run("pending_changes", withdraw=pending.cuid, by="ada").startswith("Withdrew “Workf")
    assert not PendingChange.objects.exists()
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.who, entry.face) == ("withdrawn", "ada", "command")


@pytest.mark.parametrize("cuid", ["nothing", "\0"])
def test_unknown_cuid_is_an_error(cuid: str, db: None) -> None:
    with pytest.raises(CommandError, match="No pending change has the cuid"):
        run("pending_changes", withdraw=cuid)


def test_applied_change_is_not_withdrawn(pending: PendingChange) -> None:
    running.cancel(Execution.objects.get())
    with pytest.raises(CommandError, match=r"has been applied already. \[settled\]"):
        run("pending_changes", withdraw=pending.cuid)


def test_audit_log_prints_one_line_per_entry_oldest_first(pending: PendingChange) -> None:
    lines = run("audit_log").splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(1, len(lines) + 1))
    assert "put on hold" in lines[-1]
    assert run("audit_log", limit=1).splitlines() == lines[-1:]
    assert json.loads(run("audit_log", cuid=pending.cuid, json=True))["action"] == "put_on_hold"
    assert run("audit_log", refused=True) == ""
    assert run("audit_log", who="nobody") == ""


def test_audit_log_is_filtered_by_time_and_refusal(scenario: Scenario) -> None:
    scenario.start()
    scenario.caller.entity_name_type = scenario.exception
    with pytest.raises(guards.ActiveExecutions):
        scenario.caller.save()
    (line,) = run("audit_log", refused=True).splitlines()
    assert "changed (refused): Cannot change finding type while" in line
    assert run("audit_log", "--until", "2020-01-01") == ""
    assert run("audit_log", "--since", "2020-01-01T12:00:00Z") == run("audit_log")


@pytest.mark.parametrize(
    "arguments",
    [["--since", "yesterday"], ["--since", "2026-02-31"], ["--limit", "0"], ["--cuid", "\0"]],
)
def test_wrong_usage_is_an_error(arguments: list[str], db: None) -> None:
    with pytest.raises(CommandError):
        call_command("audit_log", *arguments)
