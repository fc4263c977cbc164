"""``manage.py repair_executions``: what was damaged is mended, and what runs can be ended."""

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
from executions.integrity import violations
from executions.management.commands import repair_executions
from executions.models import Execution, Step
from tests.commands import run
from tests.concurrency.laws import assert_nothing_is_stranded
from tests.conftest import Scenario
from tests.executions.damage import (
    MENDABLE,
    World,
    change,
    job_deleted,
    pin_deleted,
    retyped_both,
    retyped_caller,
    source_edited,
    unguarded,
)
from tests.factories import FindingFactory, WorkflowFactory, drawn, form
from workflows.models import AuditEntry, Reference, Workflow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(scenario: Scenario) -> World:
    return World(scenario)


def told(*arguments: str, **options: Any) -> dict[str, Any]:
    """What the command prints as JSON, whether something is left or not."""
    out = StringIO()
    with suppress(CommandError):
        call_command("repair_executions", *arguments, json=True, stdout=out, **options)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


@pytest.mark.parametrize("name", MENDABLE)
def test_what_is_damaged_is_mended_and_whatever_runs_can_be_ended(world: World, name: str) -> None:
    _, damage = MENDABLE[name]
    live = set(Execution.objects.live().values_list("pk", flat=True))
    with unguarded():
        damage(world)
    found = violations()
    assert found
    planned = told(dry_run=True)
    assert violations() == found, "a dry run writes nothing"
    done = told()
    assert done["mended"] == planned["mended"]
    assert done["left"] == planned["left"] == []
    assert violations() == []
    entries = AuditEntry.objects.filter(why__startswith="Repair: ")
    assert entries.count() == len(done["mended"])
    assert told()["mended"] == []
    assert live - set(Execution.objects.live().values_list("pk", flat=True)) <= {
        world.waiting.pk,
        world.calling.pk,
        world.child.pk,
    }
    for step in Step.objects.filter(state="incident", incident__code="repaired"):
        running.retry(step.execution, step=step.cuid)
    assert_nothing_is_stranded()


def test_nothing_is_mended_where_nothing_is_damaged(world: World) -> None:
    before = AuditEntry.objects.count()
    assert run("repair_executions").strip() == "Nothing is to be mended."
    assert AuditEntry.objects.count() == before


def test_a_version_that_nobody_knows_any_more_is_a_choice(world: World) -> None:
    with unguarded():
        cuid = source_edited(world)
    with pytest.raises(CommandError, match="could not be mended"):
        run("repair_executions")
    (left,) = told()["left"]
    assert left["cuid"] == cuid and f"--accept {cuid}" in left["choice"]
    assert "is taken as it is now" in run("repair_executions", "--accept", cuid)
    assert violations() == []
    entry = AuditEntry.objects.get(kind="version", cuid=cuid)
    assert set(entry.before) == set(entry.after) == {"checksum"}


def test_an_execution_of_which_nothing_tells_what_it_runs_is_a_choice(world: World) -> None:
    twin = WorkflowFactory(title="Twin", entity_name_type=world.scenario.limitation)
    drawn(twin, form("other"))
    lost = running.start(world.idle, world.scenario.finding)
    with unguarded():
        change(lost, version=twin.latest_version)
    (left,) = told()["left"]
    assert left["cuid"] == lost.cuid and f"repair_executions {lost.cuid} --onto" in left["choice"]
    assert world.idle.latest_version.cuid in left["detail"]
    wrong = str(world.callee.latest_version.cuid)
    assert "has no node “other”" in told(lost.cuid, onto=wrong)["left"][0]["detail"]
    run("repair_executions", lost.cuid, onto=str(world.idle.latest_version.cuid))
    assert violations() == []
    assert_nothing_is_stranded()


def test_live_executions_in_two_contexts_are_a_choice(world: World) -> None:
    """Somebody has swapped the type, and others went on with the product."""
    with unguarded():
        change(world.sleeper, entity_name_type=world.kind)
    drawn(world.sleeper, form("later"))
    running.start(
        Workflow.objects.get(pk=world.sleeper.pk), FindingFactory(entity_name_type=world.kind)
    )
    left = told()["left"]
    assert "began in several contexts" in left[0]["detail"]
    assert left[0]["cuid"] == world.sleeper.cuid
    running.cancel(world.sleeping)
    assert told()["left"] == []
    assert violations() == []


def test_what_was_drawn_since_for_the_later_type_is_drawn_for_the_first_again(
    world: World,
) -> None:
    with unguarded():
        change(world.sleeper, entity_name_type=world.kind)
    later = drawn(world.sleeper, form("later"))
    run("repair_executions")
    assert violations() == []
    latest = Workflow.objects.get(pk=world.sleeper.pk).latest_version
    assert latest.source == later.source
    assert latest.context_key == world.sleeping.context_key


def test_the_later_type_is_told_with_the_command_that_gives_it(world: World) -> None:
    with unguarded():
        retyped_both(world)
    told_so = run("repair_executions")
    command = f"change_finding_type {world.caller.cuid} {world.kind.cuid} --when-drained"
    assert command in told_so


def test_one_execution_is_mended_with_what_it_stands_on_and_nothing_else(world: World) -> None:
    with unguarded():
        pin_deleted(world)
        job_deleted(world)
        retyped_caller(world)
    run("repair_executions", world.waiting.cuid)
    assert {row.cuid for row in violations()} == {world.sleeping.cuid}
    run("repair_executions", world.sleeping.cuid)
    assert violations() == []


def test_long_lists_are_cut_with_a_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with unguarded():
        Reference._base_manager.all()._raw_delete("default")
        change(world.idle, entity_name_type=world.kind)
        pin_deleted(world)
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
def test_what_is_not_there(world: World, arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        run("repair_executions", *arguments)


def test_a_root_is_put_onto_a_version_and_one_at_a_time(world: World) -> None:
    onto = str(world.idle.latest_version.cuid)
    with pytest.raises(CommandError, match="for one execution"):
        run("repair_executions", onto=onto)
    with pytest.raises(CommandError, match=f"name {world.calling.cuid}"):
        run("repair_executions", world.child.cuid, onto=onto)


@pytest.mark.postgresql
def test_a_repair_goes_on_beside_starts_and_submits(world: World) -> None:
    roots = [world.scenario.start() for _ in range(12)]
    with unguarded():
        for root in roots:
            root.pins.all()._raw_delete("default")
    refused: list[Exception] = []
    ended = threading.Event()

    def beside() -> None:
        try:
            while not ended.is_set():
                execution = world.scenario.start()
                running.submit(execution, node="form", data={"note": "n"})
        except Exception as error:
            refused.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=beside)
    other.start()
    try:
        run("repair_executions")
    finally:
        ended.set()
        other.join()
    assert refused == []
    assert violations() == []
    assert_nothing_is_stranded()
