"""The table of doors: each tried against everything that a live execution needs."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from executions import services as running
from executions.models import Execution, Pin
from tests.conftest import Scenario
from tests.doors import DOORS, Door, RefusedBy
from tests.factories import FindingTypeFactory, WorkflowFactory, call, drawn, form
from workflows import guards
from workflows.models import FindingType, Reference, Version, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("laws")]

OWN = "Cannot change finding type while this workflow has active executions."
DEPENDENT = "Cannot change finding type: workflows referencing this one have active executions."


class House:
    """A chain of three that runs, and a callee that only an older running version calls."""

    def __init__(self, scenario: Scenario) -> None:
        self.kind = scenario.exception
        leaf = WorkflowFactory(title="Leaf", entity_name_type=scenario.limitation)
        drawn(scenario.callee, call(leaf))
        dropped = WorkflowFactory(title="Dropped", entity_name_type=scenario.limitation)
        keeper = WorkflowFactory(title="Keeper", entity_name_type=scenario.limitation)
        drawn(keeper, form(), call(dropped))
        self.older = running.start(keeper, scenario.finding)
        drawn(keeper, form())
        self.execution = scenario.start()
        self.targets: dict[str, Workflow] = {
            "the workflow that runs": scenario.caller,
            "its callee": scenario.callee,
            "its transitive callee": leaf,
            "a callee of an older running version": dropped,
        }

    def state(self) -> list[Any]:
        return [
            list(model._base_manager.order_by("pk").values())
            for model in (Version, Reference, Execution, Pin)
        ] + [list(Workflow.objects.order_by("pk").values("pk", "context_key", "title"))]


TARGETS = (
    "the workflow that runs",
    "its callee",
    "its transitive callee",
    "a callee of an older running version",
)


@pytest.fixture
def house(scenario: Scenario) -> House:
    return House(scenario)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_every_door_is_shut(house: House, door: Door, target: str) -> None:
    before = house.state()
    own = target == "the workflow that runs"
    sentence = OWN if own else DEPENDENT
    if door.refused_by is RefusedBy.KEY:
        with pytest.raises(IntegrityError):
            door.open(house.targets[target], house.kind)
    elif door.refused_by is RefusedBy.API:
        response = door.open(house.targets[target], house.kind)
        assert response.status_code == 400
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["detail"] == sentence
        assert response.json()["blockers"]["executions"]
    elif door.refused_by is RefusedBy.ADMIN:
        response = door.open(house.targets[target], house.kind)
        assert response.status_code == 200
        assert sentence in unescape(response.content.decode())
    else:
        with pytest.raises(ValidationError) as refused:
            door.open(house.targets[target], house.kind)
        message = refused.value.message
        if door.refused_by is RefusedBy.GUARD:
            assert message == sentence
            assert refused.value.blockers.executions  # type: ignore[attr-defined]
        else:
            assert "workflows.services.change_entity_context()" in message
    assert house.state() == before
    running.submit(house.execution, node="form", data={"note": "n"})
    running.submit(house.older, node="form", data={"note": "n"})
    assert not Execution.objects.live().exists()


@pytest.fixture
def idle() -> Workflow:
    workflow = WorkflowFactory()
    drawn(workflow, form())
    return workflow


@pytest.mark.parametrize(
    "door",
    [
        door
        for door in DOORS
        if door.refused_by in (RefusedBy.GUARD, RefusedBy.API, RefusedBy.ADMIN)
        and door.name != "save_base"
    ],
    ids=lambda door: door.name,
)
def test_the_legal_twin_is_accepted_and_leaves_a_version(idle: Workflow, door: Door) -> None:
    kind: FindingType = FindingTypeFactory()
    door.open(idle, kind)
    row = Workflow.objects.get(pk=idle.pk)
    assert row.entity_name_type == kind
    assert row.latest_version.entity_name_type == kind
    assert row.latest_version.source == idle.latest_version.source


def test_the_doors_that_name_the_service_accept_every_other_field(house: House) -> None:
    workflow = house.targets["the workflow that runs"]
    Workflow.objects.filter(pk=workflow.pk).update(title="updated")
    row = Workflow.objects.get(pk=workflow.pk)
    assert row.title == "updated"
    row.title = "bulk updated"
    Workflow.objects.bulk_update([row], ["title"])
    row.refresh_from_db()
    assert row.title == "bulk updated"
    row.title = "in conflict"
    Workflow.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["cuid"], update_fields=["title"]
    )
    row.refresh_from_db()
    assert row.title == "in conflict"


def test_workflows_created_in_bulk_have_their_first_version() -> None:
    kind = FindingTypeFactory()
    Workflow.objects.bulk_create(
        [Workflow(title=f"Bulk {number}", entity_name_type=kind) for number in range(3)]
    )
    assert list(Version.objects.values_list("number", flat=True)) == [1, 1, 1]


def test_a_state_is_not_changed_in_bulk(idle: Workflow) -> None:
    with pytest.raises(guards.UseTheService, match="set_state"):
        Workflow.objects.filter(pk=idle.pk).update(state="retired")
