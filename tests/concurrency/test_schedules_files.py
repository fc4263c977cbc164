"""Imports of workflow files, concurrent with starts, saves and each other."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from executions.guards import EntityTypeMismatch
from tests.concurrency.actions import submit
from tests.concurrency.invariants import assert_invariants, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    AFTER_WRITE,
    CLOSURE_LOCKED,
    EXCLUSIVE,
    LEVELS,
    MARKS,
    SAVED,
    Schedule,
    after,
    at_isolation,
    save,
)
from tests.conftest import Scenario
from tests.factories import call, form
from tests.workflows.files import data_of, exported, titled
from workflows import files
from workflows.guards import ActiveExecutions, DependentActiveExecutions
from workflows.models import FindingType, Workflow

pytestmark = MARKS

PLANNED = after("workflows.files.importing.build_plan")
IN_ORDER = after("workflows.files.importing._lock")
IMPORTED = after("workflows.files.importing._Import.run")


def importing(data: dict[str, Any]) -> Callable[[], files.Plan]:
    def work() -> files.Plan:
        try:
            return files.import_file(files.read_file(json.dumps(data).encode()), apply=True)
        except files.ImportRefusal as stopped:
            raise stopped.refusal from stopped.refusal.__cause__

    return work


@pytest.fixture
def retyped(scenario: Scenario) -> Callable[[], files.Plan]:
    """Return a file that changes both types and creates a third workflow."""
    data = data_of(exported())
    new = {**copy.deepcopy(titled(data, "Workflow 3")), "cuid": "a0", "title": "New"}
    data["workflows"].insert(0, new)
    for row in data["workflows"]:
        row["entity_name_type"] = {"cuid": scenario.exception.cuid}
    return importing(data)


@pytest.fixture
def redrawn(scenario: Scenario) -> Callable[[], files.Plan]:
    data = data_of(exported())
    titled(data, "Workflow 4")["nodes"][1]["data"]["title"] = "Say more"
    return importing(data)


def types() -> set[FindingType | None]:
    return {row.entity_name_type for row in Workflow.objects.all()}


@pytest.mark.parametrize("at", [PLANNED, CLOSURE_LOCKED], ids=["planned", "while it starts"])
def test_import_is_refused_as_a_whole_when_a_start_blocks_its_type_change(
    schedule: Schedule, scenario: Scenario, retyped: Callable[[], files.Plan], at: Any
) -> None:
    if at is PLANNED:
        imported, started = schedule.interleave(retyped, at, scenario.start, waits=False)
    else:
        started, imported = schedule.interleave(scenario.start, at, retyped, waits=True)
    assert imported.refused is ActiveExecutions and imported.blockers > 0
    assert types() == {scenario.limitation} and Workflow.objects.count() == 2
    assert submit(started.value).status == "completed"
    assert schedule.deadlocks == 0
    assert_invariants()


@pytest.mark.parametrize("at", [IN_ORDER, EXCLUSIVE, IMPORTED], ids=["locked", "again", "made"])
def test_start_waits_for_type_change_of_import(
    schedule: Schedule, scenario: Scenario, retyped: Callable[[], files.Plan], at: Any
) -> None:
    imported, started = schedule.interleave(retyped, at, scenario.start, waits=True)
    assert imported.refusal is None and types() == {scenario.exception}
    assert started.refused is EntityTypeMismatch
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


@pytest.mark.parametrize("at", [IN_ORDER, AFTER_WRITE], ids=["locked", "while it starts"])
def test_start_does_not_wait_for_import_of_a_graph(
    schedule: Schedule, scenario: Scenario, redrawn: Callable[[], files.Plan], at: Any
) -> None:
    works = (redrawn, scenario.start) if at is IN_ORDER else (scenario.start, redrawn)
    first, second = schedule.interleave(works[0], at, works[1], waits=False)
    started = second if at is IN_ORDER else first
    assert submit(started.value).status == "completed"
    assert scenario.caller.latest_version.number == 2
    assert schedule.deadlocks == 0
    assert_invariants()


def test_import_waits_for_save_and_compares_with_its_result(
    schedule: Schedule, scenario: Scenario, redrawn: Callable[[], files.Plan]
) -> None:
    def saving() -> Any:
        return save(scenario.caller, form("other"), call(scenario.callee))

    saved, imported = schedule.interleave(saving, SAVED, redrawn, waits=True)
    assert saved.refusal is None and imported.refusal is None
    # Compared with the result of the save: the file wins.
    nodes = scenario.caller.latest_version.source["nodes"]
    assert nodes[1]["id"] == "form" and nodes[1]["data"]["title"] == "Say more"
    assert schedule.deadlocks == 0
    assert_invariants()


def test_file_is_imported_once_when_two_imports_run_at_once(
    schedule: Schedule, scenario: Scenario
) -> None:
    data = data_of(exported())
    data["finding_types"].append({"cuid": "ctype", "name": "New type"})
    for number in range(3):
        title = f"New {number}"
        new = {**copy.deepcopy(titled(data, "Workflow 3")), "cuid": f"c{number}", "title": title}
        data["workflows"].append({**new, "entity_name_type": {"cuid": "ctype"}})
    one, other = schedule.interleave(importing(data), IMPORTED, importing(data), waits=True)
    assert one.refusal is None and other.refusal is None
    assert other.value.is_empty
    assert Workflow.objects.count() == 5
    assert_invariants()


@LEVELS
def test_import_strands_nothing_at_every_isolation_level(
    schedule: Schedule, scenario: Scenario, retyped: Callable[[], files.Plan], level: str
) -> None:
    imported, started = schedule.interleave(
        at_isolation(level, retyped), PLANNED, scenario.start, waits=False
    )
    # A key refuses what an older snapshot misses.
    assert imported.refused in (ActiveExecutions, DependentActiveExecutions)
    assert types() == {scenario.limitation} and Workflow.objects.count() == 2
    assert submit(started.value).status == "completed"
    assert_invariants()
