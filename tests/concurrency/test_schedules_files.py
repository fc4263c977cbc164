"""Files of workflows brought in at once with starts, saves, and each other."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from executions.guards import EntityTypeMismatch
from tests.concurrency.laws import assert_laws, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    EXCLUSIVE,
    LEVELS,
    MARKS,
    SAVED,
    SHARED,
    WRITTEN,
    Schedule,
    after,
    isolated,
    save,
)
from tests.concurrency.works import submit
from tests.conftest import Scenario
from tests.factories import call, form
from tests.workflows.files import data_of, exported, titled
from workflows import files
from workflows.guards import ActiveExecutions, DependentActiveExecutions
from workflows.models import FindingType, Workflow

pytestmark = MARKS

PLANNED = after("workflows.files.importing.build_plan")
IN_ORDER = after("workflows.files.importing._lock")
BROUGHT = after("workflows.files.importing._Import.run")


def bringing(data: dict[str, Any]) -> Callable[[], files.Plan]:
    def work() -> files.Plan:
        try:
            return files.import_file(files.read_file(json.dumps(data).encode()), apply=True)
        except files.ImportRefusal as stopped:
            raise stopped.refusal from stopped.refusal.__cause__

    return work


@pytest.fixture
def retyped(scenario: Scenario) -> Callable[[], files.Plan]:
    """Both workflows take the other type, and a third is created before them."""
    data = data_of(exported())
    new = {**copy.deepcopy(titled(data, "Workflow 3")), "cuid": "a0", "title": "New"}
    data["workflows"].insert(0, new)
    for row in data["workflows"]:
        row["entity_name_type"] = {"cuid": scenario.exception.cuid}
    return bringing(data)


@pytest.fixture
def redrawn(scenario: Scenario) -> Callable[[], files.Plan]:
    data = data_of(exported())
    titled(data, "Workflow 4")["nodes"][1]["data"]["title"] = "Say more"
    return bringing(data)


def types() -> set[FindingType | None]:
    return {row.entity_name_type for row in Workflow.objects.all()}


@pytest.mark.parametrize("at", [PLANNED, SHARED], ids=["planned", "while it starts"])
def test_a_change_of_type_that_a_start_overtakes_is_refused_and_nothing_is_in(
    schedule: Schedule, scenario: Scenario, retyped: Callable[[], files.Plan], at: Any
) -> None:
    if at is PLANNED:
        imported, started = schedule.overtaken(retyped, at, scenario.start, waits=False)
    else:
        started, imported = schedule.overtaken(scenario.start, at, retyped, waits=True)
    assert imported.refused is ActiveExecutions and imported.blockers > 0
    assert types() == {scenario.limitation} and Workflow.objects.count() == 2
    assert submit(started.value).status == "completed"
    assert schedule.deadlocks == 0
    assert_laws()


@pytest.mark.parametrize("at", [IN_ORDER, EXCLUSIVE, BROUGHT], ids=["locked", "again", "made"])
def test_a_start_waits_for_a_change_of_type_and_meets_the_new_one(
    schedule: Schedule, scenario: Scenario, retyped: Callable[[], files.Plan], at: Any
) -> None:
    imported, started = schedule.overtaken(retyped, at, scenario.start, waits=True)
    assert imported.refusal is None and types() == {scenario.exception}
    assert started.refused is EntityTypeMismatch
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


@pytest.mark.parametrize("at", [IN_ORDER, WRITTEN], ids=["locked", "while it starts"])
def test_another_graph_keeps_no_start_waiting(
    schedule: Schedule, scenario: Scenario, redrawn: Callable[[], files.Plan], at: Any
) -> None:
    works = (redrawn, scenario.start) if at is IN_ORDER else (scenario.start, redrawn)
    first, second = schedule.overtaken(works[0], at, works[1], waits=False)
    started = second if at is IN_ORDER else first
    assert submit(started.value).status == "completed"
    assert scenario.caller.latest_version.number == 2
    assert schedule.deadlocks == 0
    assert_laws()


def test_an_import_waits_for_a_save_and_is_compared_with_what_that_has_left(
    schedule: Schedule, scenario: Scenario, redrawn: Callable[[], files.Plan]
) -> None:
    def saving() -> Any:
        return save(scenario.caller, form("other"), call(scenario.callee))

    saved, imported = schedule.overtaken(saving, SAVED, redrawn, waits=True)
    assert saved.refusal is None and imported.refusal is None
    # Judged by what the save has left: the file is what stands.
    nodes = scenario.caller.latest_version.source["nodes"]
    assert nodes[1]["id"] == "form" and nodes[1]["data"]["title"] == "Say more"
    assert schedule.deadlocks == 0
    assert_laws()


def test_the_same_file_twice_at_once_is_there_once(schedule: Schedule, scenario: Scenario) -> None:
    data = data_of(exported())
    data["finding_types"].append({"cuid": "ctype", "name": "New type"})
    for number in range(3):
        title = f"New {number}"
        new = {**copy.deepcopy(titled(data, "Workflow 3")), "cuid": f"c{number}", "title": title}
        data["workflows"].append({**new, "entity_name_type": {"cuid": "ctype"}})
    one, other = schedule.overtaken(bringing(data), BROUGHT, bringing(data), waits=True)
    assert one.refusal is None and other.refusal is None
    assert other.value.is_empty
    assert Workflow.objects.count() == 5
    assert_laws()


@LEVELS
def test_at_every_level_nothing_is_stranded(
    schedule: Schedule, scenario: Scenario, retyped: Callable[[], files.Plan], level: str
) -> None:
    imported, started = schedule.overtaken(
        isolated(level, retyped), PLANNED, scenario.start, waits=False
    )
    # What an older snapshot does not see, a key refuses.
    assert imported.refused in (ActiveExecutions, DependentActiveExecutions)
    assert types() == {scenario.limitation} and Workflow.objects.count() == 2
    assert submit(started.value).status == "completed"
    assert_laws()
