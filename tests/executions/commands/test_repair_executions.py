"""``manage.py repair_executions``: damage is repaired, and live executions can be completed."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from executions import services as running
from executions.integrity import find_violations
from executions.management.commands import repair_executions
from executions.models import Execution, Step
from tests.commands import run
from tests.concurrency.invariants import assert_nothing_is_stranded
from tests.conftest import Scenario
from tests.executions.damage import REPAIRABLE
from tests.executions.damage.contexts import change_both_types, change_caller_type
from tests.executions.damage.pins import delete_pin
from tests.executions.damage.steps import delete_jobs
from tests.executions.damage.target import DamageTarget, change, unguarded
from tests.executions.damage.versions import edit_source
from tests.factories import FindingFactory, WorkflowFactory, form, save_line
from workflows.models import AuditEntry, Reference, Workflow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def target(scenario: Scenario) -> DamageTarget:
    return DamageTarget(scenario)


def repair_as_json(*arguments: str, **options: Any) -> dict[str, Any]:
    """Return the JSON output of the command, with any exit code."""
    out = StringIO()
    with suppress(CommandError):
        call_command("repair_executions", *arguments, json=True, stdout=out, **options)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


ON_BOTH_DATABASES = {
    *{invariant: name for name, (invariant, _) in reversed(REPAIRABLE.items())}.values(),
    *("closure removed", "jobs deleted", "branch before a join closed"),
}
"""The first damage of each invariant, and other damage that differs most from it."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ON_BOTH_DATABASES else pytest.mark.sqlite)
        for name in REPAIRABLE
    ],
)
def test_repair_resolves_damage_and_executions_can_be_completed(
    target: DamageTarget, name: str
) -> None:
    invariant, damage = REPAIRABLE[name]
    live = set(Execution.objects.live().values_list("pk", flat=True))
    with unguarded():
        cuid = damage(target)
    found = find_violations()
    assert (invariant, cuid) in [(row.invariant, row.cuid) for row in found]
    assert all(row.remedy for row in found)
    planned = repair_as_json(dry_run=True)
    assert find_violations() == found, "a dry run writes nothing"
    done = repair_as_json()
    assert done["repaired"] == planned["repaired"]
    assert done["unresolved"] == planned["unresolved"] == []
    assert find_violations() == []
    entries = AuditEntry.objects.filter(why__startswith="Repair: ")
    assert entries.count() == len(done["repaired"])
    assert repair_as_json()["repaired"] == []
    assert live - set(Execution.objects.live().values_list("pk", flat=True)) <= {
        target.waiting.pk,
        target.calling.pk,
        target.child.pk,
    }
    for step in Step.objects.filter(state="incident", incident__code="repaired"):
        running.retry(step.execution, step=step.cuid)
    assert_nothing_is_stranded()


def test_repair_changes_nothing_without_damage(target: DamageTarget) -> None:
    before = AuditEntry.objects.count()
    assert run("repair_executions").strip() == "Nothing to repair."
    assert AuditEntry.objects.count() == before


def test_repair_asks_to_accept_version_when_original_content_is_lost(target: DamageTarget) -> None:
    with unguarded():
        cuid = edit_source(target)
    with pytest.raises(CommandError, match="could not be repaired"):
        run("repair_executions")
    (unresolved,) = repair_as_json()["unresolved"]
    assert unresolved["cuid"] == cuid and f"--accept {cuid}" in unresolved["remedy"]
    assert "The current content of" in run("repair_executions", "--accept", cuid)
    assert find_violations() == []
    entry = AuditEntry.objects.get(kind="version", cuid=cuid)
    assert set(entry.before) == set(entry.after) == {"checksum"}


def test_repair_asks_for_version_when_data_does_not_show_it(target: DamageTarget) -> None:
    twin = WorkflowFactory(title="Twin", entity_name_type=target.scenario.limitation)
    save_line(twin, form("other"))
    lost = running.start(target.idle, target.scenario.finding)
    with unguarded():
        change(lost, version=twin.latest_version)
    (unresolved,) = repair_as_json()["unresolved"]
    assert (
        unresolved["cuid"] == lost.cuid
        and f"repair_executions {lost.cuid} --onto" in unresolved["remedy"]
    )
    assert target.idle.latest_version.cuid in unresolved["detail"]
    wrong = str(target.callee.latest_version.cuid)
    assert "has no node “other”" in repair_as_json(lost.cuid, onto=wrong)["unresolved"][0]["detail"]
    run("repair_executions", lost.cuid, onto=str(target.idle.latest_version.cuid))
    assert find_violations() == []
    assert_nothing_is_stranded()


def test_repair_asks_for_decision_when_live_executions_have_two_contexts(
    target: DamageTarget,
) -> None:
    with unguarded():
        change(target.sleeper, entity_name_type=target.kind)
    save_line(target.sleeper, form("later"))
    running.start(
        Workflow.objects.get(pk=target.sleeper.pk), FindingFactory(entity_name_type=target.kind)
    )
    unresolved = repair_as_json()["unresolved"]
    assert "started in several contexts" in unresolved[0]["detail"]
    assert unresolved[0]["cuid"] == target.sleeper.cuid
    running.cancel(target.sleeping)
    assert repair_as_json()["unresolved"] == []
    assert find_violations() == []


def test_repair_appends_version_with_first_type_when_graph_was_saved_with_later_type(
    target: DamageTarget,
) -> None:
    with unguarded():
        change(target.sleeper, entity_name_type=target.kind)
    later = save_line(target.sleeper, form("later"))
    run("repair_executions")
    assert find_violations() == []
    latest = Workflow.objects.get(pk=target.sleeper.pk).latest_version
    assert latest.source == later.source
    assert latest.context_key == target.sleeping.context_key


def test_repair_names_command_that_sets_later_type(target: DamageTarget) -> None:
    with unguarded():
        change_both_types(target)
    output = run("repair_executions")
    command = f"change_finding_type {target.caller.cuid} {target.kind.cuid} --when-drained"
    assert command in output


def test_repair_of_one_execution_leaves_others_alone(target: DamageTarget) -> None:
    with unguarded():
        delete_pin(target)
        delete_jobs(target)
        change_caller_type(target)
    run("repair_executions", target.waiting.cuid)
    assert {row.cuid for row in find_violations()} == {target.sleeping.cuid}
    run("repair_executions", target.sleeping.cuid)
    assert find_violations() == []


def test_repair_truncates_long_list_and_counts_the_rest(
    target: DamageTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    with unguarded():
        Reference._base_manager.all()._raw_delete("default")
        change(target.idle, entity_name_type=target.kind)
        delete_pin(target)
    monkeypatch.setattr(repair_executions, "LISTED", 1)
    lines = run("repair_executions", "--dry-run").splitlines()
    assert len(lines) == 2 and lines[1].endswith("more (--all lists them).")
    assert len(run("repair_executions", "--all").splitlines()) > 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nothing",), "No execution has the cuid 'nothing'."),
        (("--accept", "nothing"), "No version has the cuid 'nothing'."),
    ],
)
def test_repair_fails_for_unknown_cuid(
    target: DamageTarget, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        run("repair_executions", *arguments)


def test_onto_option_needs_exactly_one_root(target: DamageTarget) -> None:
    onto = str(target.idle.latest_version.cuid)
    with pytest.raises(CommandError, match="exactly one EXECUTION"):
        run("repair_executions", onto=onto)
    with pytest.raises(CommandError, match=f"root instead: {target.calling.cuid}"):
        run("repair_executions", target.child.cuid, onto=onto)


@pytest.mark.postgresql
def test_repair_runs_beside_starts_and_submits(target: DamageTarget) -> None:
    roots = [target.scenario.start() for _ in range(12)]
    with unguarded():
        for root in roots:
            change(root, closure=None)
    refused: list[Exception] = []
    ended = threading.Event()

    def start_and_submit() -> None:
        try:
            while not ended.is_set():
                execution = target.scenario.start()
                running.submit(execution, node="form", data={"note": "n"})
        except Exception as error:
            refused.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=start_and_submit)
    other.start()
    try:
        run("repair_executions")
    finally:
        ended.set()
        other.join()
    assert refused == []
    assert find_violations() == []
    assert_nothing_is_stranded()
