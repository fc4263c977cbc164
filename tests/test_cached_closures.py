"""Starts on cached closures, and on closures that are outdated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from executions import guards as running_guards
from executions import services as running
from executions import workflow_manager
from executions.engine import closures
from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
)
from workflows import editing, guards
from workflows.models import Version, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


class Started:
    """A workflow and its callee, after an execution that has ended."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.caller, self.callee = scenario.caller, scenario.callee
        running.cancel(self.start())
        assert closures.cached_closure(self.caller.pk) is not None

    def start(self) -> Execution:
        return running.start(self.caller, self.scenario.finding)

    def change_type(self) -> None:
        editing.change_entity_context(
            [self.caller, self.callee], entity_name_type=self.scenario.exception
        )

    def change_type_and_back(self) -> None:
        self.change_type()
        editing.change_entity_context(
            [self.caller, self.callee], entity_name_type=self.scenario.limitation
        )

    def append(self) -> None:
        save_line(self.caller, form("new"), call(self.callee))

    def append_twice(self) -> None:
        # The second save replaces a version without executions.
        self.append()
        save_line(self.caller, form("newer"), call(self.callee))

    def append_to_the_callee(self) -> None:
        save_line(self.callee, form("inner"))

    def call_another(self) -> None:
        save_line(self.callee, call(WorkflowFactory(entity_name_type=self.scenario.limitation)))

    def call_nobody(self) -> None:
        save_line(self.caller, form())

    def retire(self) -> None:
        editing.retire(self.caller)

    def make_the_callee_a_draft(self) -> None:
        editing.set_state(self.callee, Workflow.State.DRAFT)

    def hold(self) -> None:
        self.start()
        editing.change_entity_context(
            [self.caller, self.callee], entity_name_type=self.scenario.exception, when="drained"
        )

    def by_raw_sql(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE workflows_workflow SET state = 'draft' WHERE id = %s", [self.callee.pk]
            )


@pytest.fixture
def started(scenario: Scenario) -> Started:
    return Started(scenario)


@pytest.mark.parametrize(
    "edit",
    [
        Started.change_type_and_back,
        Started.append,
        Started.append_twice,
        Started.append_to_the_callee,
        Started.call_another,
        Started.call_nobody,
    ],
)
def test_start_runs_and_pins_the_latest_versions_after_an_edit(
    started: Started, edit: Callable[[Started], None]
) -> None:
    edit(started)
    for _ in range(2):
        execution = started.start()
        assert execution.version == started.caller.latest_version
        reached = {row.pk for row in Workflow.objects.all()} - {started.caller.pk}
        if edit is Started.call_nobody:
            reached = set()
        latest = Version.objects.latest_of_each().filter(workflow__in=reached)
        assert {pin.version for pin in execution.pins.all()} == set(latest)


@pytest.mark.parametrize(
    ("edit", "refusal"),
    [
        (Started.change_type, running_guards.EntityTypeMismatch),
        (Started.retire, running_guards.NotStartable),
        (Started.make_the_callee_a_draft, running_guards.NotStartable),
        (Started.by_raw_sql, running_guards.NotStartable),
        (Started.hold, guards.Draining),
    ],
)
def test_start_is_refused_after_an_edit(
    started: Started, edit: Callable[[Started], None], refusal: type[Exception]
) -> None:
    edit(started)
    for _ in range(2):
        with pytest.raises(refusal):
            started.start()


def test_start_is_accepted_after_a_withdrawal(started: Started) -> None:
    first = started.start()
    done = editing.change_entity_context(
        [started.caller, started.callee],
        entity_name_type=started.scenario.exception,
        when="drained",
    )
    with pytest.raises(guards.Draining):
        started.start()
    assert done.pending is not None
    editing.withdraw(done.pending)
    assert started.start().version == first.version


def test_start_is_refused_when_the_entity_has_another_type(
    started: Started,
) -> None:
    with pytest.raises(running_guards.EntityTypeMismatch):
        running.start(started.caller, FindingFactory())
    assert started.start().status == "waiting"


def test_started_execution_has_the_current_workflow(started: Started) -> None:
    started.caller.title = "Renamed"
    started.caller.save()
    assert started.start().workflow.title == "Renamed"
    Workflow.objects.filter(pk=started.caller.pk).update(title="Renamed again")
    assert started.start().workflow.title == "Renamed again"


def test_rolled_back_closure_is_not_used_when_its_ids_are_reused(
    scenario: Scenario,
) -> None:
    kind = scenario.limitation

    def made(title: str) -> tuple[Workflow, Execution]:
        workflow = WorkflowFactory(title=title, entity_name_type=kind)
        return workflow, running.start(workflow, FindingFactory(entity_name_type=kind))

    with transaction.atomic():
        lost, _ = made("Rolled back")
        transaction.set_rollback(True)
    workflow, execution = made("Kept")
    if connection.vendor == "sqlite":
        assert workflow.pk == lost.pk, "SQLite gives the id again"
    assert execution.workflow.cuid == workflow.cuid
    assert execution.workflow.title == "Kept"
    assert execution.version.cuid == workflow.latest_version.cuid


def test_rolled_back_graph_is_not_used(started: Started) -> None:
    with transaction.atomic():
        save_line(started.caller, form("lost"))
        started.start()
        transaction.set_rollback(True)
    save_line(started.caller, form("kept"))
    assert started.start().steps.open().get().node_id == "kept"


def test_start_finds_a_new_version_when_the_cached_one_is_deleted(
    started: Started,
) -> None:
    save_line(started.caller, form("first"))
    with transaction.atomic():
        started.start()
        transaction.set_rollback(True)
    save_line(started.caller, form("second"))
    workflow_manager._graphs.clear()
    assert started.start().steps.open().get().node_id == "second"


def test_start_runs_a_version_replaced_by_raw_sql(started: Started) -> None:
    save_line(started.caller, form("first"))
    with transaction.atomic():
        started.start()
        transaction.set_rollback(True)
    latest = started.caller.latest_version
    pk, source = latest.pk, latest.source
    source["nodes"][1]["id"] = source["edges"][0]["target"] = source["edges"][1]["source"] = "raw"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM workflows_version WHERE id = %s", [pk])
        row = Version(
            pk=pk,
            workflow=started.caller,
            number=latest.number,
            source=source,
            entity_name_type=started.scenario.limitation,
        )
        row.save(force_insert=True)
    assert started.start().steps.open().get().node_id == "raw"


def test_start_works_when_the_cache_is_full(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closures, "CACHED_CLOSURES", 2)
    monkeypatch.setattr(closures, "_closures", {})
    kind = FindingTypeFactory()
    workflows: list[Any] = WorkflowFactory.create_batch(3, entity_name_type=kind)
    finding = FindingFactory(entity_name_type=kind)
    for workflow in [*workflows, *workflows]:
        assert running.start(workflow, finding).version == workflow.latest_version
        assert len(closures._closures) <= 2
