"""``manage.py check_integrity``: every kind of damage is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from executions import services as running
from executions.integrity import violations
from executions.models import Execution, Pin, Step
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, call, drawn, form
from workflows import seals
from workflows.models import Reference, Unsealed, Version, Workflow

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def unguarded() -> Iterator[None]:
    """A session in which neither keys nor seals are asked."""
    if connection.vendor == "postgresql":
        off, on = "SET session_replication_role = replica", "SET session_replication_role = origin"
    else:
        off, on = "PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON"
        seals.remove(connection)
    with connection.cursor() as cursor:
        cursor.execute(off)
        try:
            yield
        finally:
            cursor.execute(on)
    seals.install(connection)


class World:
    """The scenario with an inner form: a root that waits for its child, another at its form."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        drawn(scenario.callee, form("inner"))
        self.calling = scenario.start()
        running.submit(self.calling, node="form", data={"note": "n"})
        self.waiting = scenario.start()
        self.kind = scenario.exception

    def change(self, model: Any, pk: int, **values: Any) -> None:
        model._base_manager.filter(pk=pk).update(**values)

    def add_reference(self, version: Version, callee: Workflow) -> None:
        row = Reference(
            version=version, node_id="x", callee=callee, context_key=version.context_key
        )
        Reference._base_manager.bulk_create([row])


@pytest.fixture
def world(scenario: Scenario) -> World:
    return World(scenario)


def retyped_callee(world: World) -> str:
    world.change(Workflow, world.scenario.callee.pk, entity_name_type=world.kind)
    return world.waiting.version.cuid


def retyped_caller(world: World) -> str:
    world.change(Workflow, world.scenario.caller.pk, entity_name_type=world.kind)
    return world.waiting.cuid


def retyped_idle(world: World) -> str:
    idle = WorkflowFactory()
    world.change(Workflow, idle.pk, entity_name_type=world.kind)
    return str(idle.cuid)


def pin_deleted(world: World) -> str:
    world.waiting.pins.all()._raw_delete("default")
    return world.waiting.cuid


def source_edited(world: World) -> str:
    version = world.waiting.version
    world.change(Version, version.pk, source={**version.source, "extra": 1})
    return version.cuid


def retyped_entity(world: World) -> str:
    world.change(
        type(world.scenario.finding), world.scenario.finding.pk, entity_name_type=world.kind
    )
    return world.waiting.cuid


def reference_deleted(world: World) -> str:
    Reference._base_manager.all()._raw_delete("default")
    return world.waiting.version.cuid


def reference_added(world: World) -> str:
    version = world.scenario.callee.latest_version
    world.add_reference(version, WorkflowFactory())
    return str(version.cuid)


def cycle(world: World) -> str:
    version = world.scenario.callee.latest_version
    world.add_reference(version, world.scenario.caller)
    return world.scenario.caller.cuid


def step_closed(world: World) -> str:
    world.waiting.steps.open().update(state="done")
    return world.waiting.cuid


def step_reopened(world: World) -> str:
    running.cancel(world.waiting)
    world.waiting.steps.filter(node_id="form").update(state="open")
    return world.waiting.cuid


def child_ended(world: World) -> str:
    child = world.calling.children.get()
    Step.objects.filter(execution=child).update(state="cancelled")
    world.change(Execution, child.pk, status="cancelled")
    return world.calling.cuid


def calling_step_closed(world: World) -> str:
    world.calling.steps.filter(node_id="call").update(state="done")
    return world.calling.cuid


def revived(world: World) -> str:
    running.cancel(world.waiting)
    world.change(Execution, world.waiting.pk, status="waiting")
    return world.waiting.cuid


def left_unsealed(world: World) -> str:
    Unsealed.objects.create(table_name="workflows_version", row_id=7, why="forgotten")
    return "7"


DAMAGE: dict[str, tuple[str, Callable[[World], str]]] = {
    "type of a running workflow": ("L1", retyped_caller),
    "type of an idle workflow": ("L2", retyped_idle),
    "type of a callee": ("L3", retyped_callee),
    "pin deleted": ("L3", pin_deleted),
    "source edited": ("L4", source_edited),
    "type of an entity": ("L5", retyped_entity),
    "reference deleted": ("L6", reference_deleted),
    "reference added": ("L6", reference_added),
    "calls in a cycle": ("L7", cycle),
    "open step closed": ("L8", step_closed),
    "closed step opened": ("L8", step_reopened),
    "child ended alone": ("L8", child_ended),
    "calling step closed": ("L8", calling_step_closed),
    "terminal execution revived": ("L8", revived),
    "seal left open": ("seal", left_unsealed),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_every_kind_of_damage_is_named_by_its_law_and_cuid(world: World, name: str) -> None:
    assert violations() == []
    law, damage = DAMAGE[name]
    with unguarded():
        cuid = damage(world)
    assert (law, cuid) in [(row.law, row.cuid) for row in violations()]
    with pytest.raises(CommandError, match="found"):
        call_command("check_integrity", stdout=StringIO())


def test_a_seal_that_is_missing_is_named(world: World) -> None:
    seals.remove(connection)
    try:
        assert "executions_execution_final" in [row.cuid for row in violations()]
    finally:
        seals.install(connection)


def test_a_sound_database_passes_and_says_so(world: World) -> None:
    out = StringIO()
    call_command("check_integrity", stdout=out)
    assert out.getvalue().strip() == "Every law holds."


def test_json_lists_the_violations(world: World) -> None:
    out = StringIO()
    call_command("check_integrity", json=True, stdout=out)
    assert json.loads(out.getvalue()) == {"violations": [], "total": 0}
    Unsealed.objects.create(table_name="workflows_version", row_id=7, why="forgotten")
    out = StringIO()
    with pytest.raises(CommandError, match="1 violation found"):
        call_command("check_integrity", json=True, stdout=out)
    told = json.loads(out.getvalue())
    assert (told["total"], told["violations"][0]["law"]) == (1, "seal")
    assert Pin.objects.exists()


def test_it_keeps_no_writer_waiting_and_takes_a_constant_number_of_queries(
    world: World, django_assert_max_num_queries: Any
) -> None:
    for _ in range(10):
        world.scenario.start()
        drawn(
            WorkflowFactory(entity_name_type=world.scenario.limitation), call(world.scenario.callee)
        )
    with django_assert_max_num_queries(40):
        assert violations() == []


def test_it_is_the_first_to_connect(tmp_path: Any) -> None:
    environment = {**os.environ, "DEBUG": "1", "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    subprocess.run([*manage, "migrate", "-v0"], env=environment, check=True)
    checked = subprocess.run([*manage, "check_integrity"], env=environment, capture_output=True)
    assert (checked.returncode, checked.stdout) == (0, b"Every law holds.\n"), checked.stderr
