"""A workflow with a cached closure, and edits between the read and the write of a start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection, transaction

from executions import guards as running_guards
from executions import services as running
from executions.models import Execution, Finding, get_closure
from tests.concurrency.invariants import assert_nothing_is_stranded
from tests.concurrency.schedule import Outcome, Schedule, save
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, call, form, line, save_line
from workflows import editing, guards
from workflows.models import Version, Workflow


class CachedStart:
    """A caller with a condition and a call, whose closure is cached."""

    def __init__(self, schedule: Schedule, scenario: Scenario) -> None:
        self.schedule = schedule
        self.scenario = scenario
        self.caller, self.callee = scenario.caller, scenario.callee
        self.finding = scenario.finding
        save_line(self.callee, form("inner"))
        latest = self.caller.latest_version.number
        editing.save_graph(self.caller, self._by_severity(), based_on=latest)
        get_closure(self.caller.latest_version, [self.callee.latest_version])
        with transaction.atomic():
            # Rolled back, so that no execution blocks an edit.
            self.start()
            transaction.set_rollback(True)

    def _by_severity(self) -> dict[str, Any]:
        rule = {"field": "severity", "op": "eq", "value": "high"}
        source = line(form("low"), call(self.callee))
        source["nodes"][1:1] = [
            {
                "id": "if",
                "type": "condition",
                "data": {"branches": [{"handle": "h", "rule": rule}]},
            },
            form("high"),
        ]
        source["edges"][0] = {"source": "start", "target": "if"}
        source["edges"] += [
            {"source": "if", "sourceHandle": "h", "target": "high"},
            {"source": "if", "sourceHandle": "default", "target": "low"},
            {"source": "high", "target": "call"},
        ]
        return source

    def start(self) -> Execution:
        return running.start(self.caller, Finding.objects.get(pk=self.finding.pk))

    def start_other(self) -> Execution:
        other = FindingFactory(entity_name_type=self.scenario.limitation)
        return running.start(self.caller, other)

    # Edits

    def change_type(self) -> None:
        editing.change_entity_context(
            [self.caller, self.callee], entity_name_type=self.scenario.exception
        )

    def replace(self) -> None:
        save(self.caller, form("new"), call(self.callee))

    def append(self) -> None:
        assert save(self.caller, form("new"), call(self.callee)).created

    def replace_the_callees(self) -> None:
        save(self.callee, form("new"))

    def call_another(self) -> None:
        third = WorkflowFactory(title="Third", entity_name_type=self.scenario.limitation)
        save(self.callee, call(third))

    def retire(self) -> None:
        editing.retire(self.caller)

    def make_the_callee_a_draft(self) -> None:
        editing.set_state(self.callee, Workflow.State.DRAFT)

    def retire_and_return(self) -> None:
        editing.retire(self.caller)
        editing.set_state(self.caller, Workflow.State.ACTIVE)

    def delete(self) -> None:
        Workflow.objects.get(pk=self.caller.pk).delete()

    def hold(self) -> None:
        editing.change_entity_context(
            [self.caller, self.callee], entity_name_type=self.scenario.exception, when="drained"
        )

    def hold_the_callee(self) -> None:
        # A group without the caller, which can reach it.
        save(self.caller, form("new"))
        editing.change_entity_context(
            [self.callee], entity_name_type=self.scenario.exception, when="drained"
        )

    def change_the_entitys_type(self) -> None:
        row = Finding.objects.get(pk=self.finding.pk)
        row.entity_name_type = self.scenario.exception
        row.save()

    def make_severe(self) -> None:
        row = Finding.objects.get(pk=self.finding.pk)
        row.fields = {"severity": "high"}
        row.save()

    def delete_the_entity(self) -> None:
        Finding.objects.get(pk=self.finding.pk).delete()

    def by_raw_sql(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE workflows_workflow SET state = 'draft' WHERE id = %s", [self.caller.pk]
            )


@dataclass(frozen=True, slots=True)
class Edit:
    """An edit, and the result of a start after it."""

    make: Callable[[CachedStart], None]
    refused: type[Exception] | None = None
    current_node: str = "low"


EDITS = {
    "type": Edit(CachedStart.change_type, running_guards.EntityTypeMismatch),
    "graph replaced": Edit(CachedStart.replace, current_node="new"),
    "callee's graph replaced": Edit(CachedStart.replace_the_callees),
    "callee calls another": Edit(CachedStart.call_another),
    "retired": Edit(CachedStart.retire, running_guards.NotStartable),
    "callee is a draft": Edit(CachedStart.make_the_callee_a_draft, running_guards.NotStartable),
    "retired and returned": Edit(CachedStart.retire_and_return),
    "deleted": Edit(CachedStart.delete, guards.RowDeleted),
    "entity's type": Edit(CachedStart.change_the_entitys_type, running_guards.EntityTypeMismatch),
    "entity's field": Edit(CachedStart.make_severe, current_node="high"),
    "entity deleted": Edit(CachedStart.delete_the_entity, guards.RowDeleted),
    "raw SQL": Edit(CachedStart.by_raw_sql, running_guards.NotStartable),
}


def assert_result_after(edit: Edit, cached: CachedStart, started: Outcome) -> None:
    """Assert that the start was refused, or ran the latest versions."""
    assert started.refused is edit.refused
    if edit.refused is None:
        execution = started.value
        latest = Version.objects.latest_of_each()
        assert execution.steps.open().get().node_id == edit.current_node
        assert execution.version == cached.caller.latest_version
        reached = {
            cached.callee.pk,
            *Workflow.objects.filter(title="Third").values_list("pk", flat=True),
        }
        pinned = {pin.version for pin in execution.pins.all()}
        assert pinned == set(latest.filter(workflow__in=reached))
    assert cached.schedule.deadlocks == 0
    assert_nothing_is_stranded()


@pytest.fixture(name="cached")
def cached_fixture(unlocked: Schedule, scenario: Scenario) -> CachedStart:
    return CachedStart(unlocked, scenario)
