"""What was changed behind the product's back: every kind of damage, made on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from executions import services as running
from executions.models import Entity, Execution, Job, Pin, Step
from tests.conftest import Scenario
from tests.executions.engine.test_branches import source
from tests.factories import FindingFactory, WorkflowFactory, drawn, form
from workflows import editing as drawing
from workflows.db import write_once
from workflows.models import AuditCounter, AuditEntry, Reference, Unsealed, Version, Workflow

SHAPES = {
    "workflows_version": "workflows_version_shape",
    "workflows_workflow": "workflows_workflow_shape",
    "workflows_pendingchange": "workflows_pendingchange_shape",
    "executions_entity": "executions_entity_shape",
}


@contextmanager
def unguarded() -> Iterator[None]:
    """A session in which neither keys, checks nor seals are asked."""
    postgresql = connection.vendor == "postgresql"
    if postgresql:
        off, on = "SET session_replication_role = replica", "SET session_replication_role = origin"
    else:
        off = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON"
        on = "PRAGMA foreign_keys = ON; PRAGMA ignore_check_constraints = OFF"
        write_once.remove(connection)
    checks = _shapes() if postgresql else {}
    _execute(*off.split(";"), *(f"ALTER TABLE {t} DROP CONSTRAINT {n}" for t, n in checks))
    try:
        yield
    finally:
        _execute(*on.split(";"))
        # As on a database that was restored by hand: what stands there is not asked again.
        added = (
            f"ALTER TABLE {t} ADD CONSTRAINT {n} {d} NOT VALID" for (t, n), d in checks.items()
        )
        _execute(*added)
    write_once.install(connection)


def _shapes() -> dict[tuple[str, str], str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, conname, replace(pg_get_constraintdef(oid),"
            " ' NOT VALID', '') FROM pg_constraint WHERE conname = ANY(%s)",
            [list(SHAPES.values())],
        )
        return {(row[0], row[1]): row[2] for row in cursor.fetchall()}


def _execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def change(row: Any, **values: Any) -> None:
    """Write these columns, past everything."""
    row._meta.concrete_model._base_manager.filter(pk=row.pk).update(**values)


class World:
    """The scenario with an inner form: a root that waits for its child, another at its form."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.caller, self.callee = scenario.caller, scenario.callee
        drawn(self.callee, form("inner"))
        self.calling = scenario.start()
        running.submit(self.calling, node="form", data={"note": "n"})
        self.waiting = scenario.start()
        self.child: Execution = self.calling.children.get()
        self.kind = scenario.exception
        self.idle: Workflow = WorkflowFactory(title="Idle", entity_name_type=scenario.limitation)
        drawn(self.idle, form("other"))
        self.other = running.start(self.idle, scenario.finding)
        running.cancel(self.other)
        self.sleeper: Workflow = WorkflowFactory(
            title="Sleeper", entity_name_type=scenario.limitation
        )
        drawn(self.sleeper, {"id": "nap", "type": "wait", "data": {"interval": "P1D"}})
        self.sleeping = running.start(self.sleeper, scenario.finding)

    def reference(self, version: Version, callee: Workflow, node: str = "x") -> None:
        """A reference that nobody has drawn."""
        row = Reference(
            version=version, node_id=node, callee=callee, context_key=version.context_key
        )
        Reference._base_manager.bulk_create([row])


def retyped_callee(world: World) -> str:
    change(world.callee, entity_name_type=world.kind)
    return str(world.waiting.version.cuid)


def retyped_caller(world: World) -> str:
    change(world.caller, entity_name_type=world.kind)
    return world.waiting.cuid


def retyped_both(world: World) -> str:
    retyped_callee(world)
    return retyped_caller(world)


def retyped_idle(world: World) -> str:
    change(world.idle, entity_name_type=world.kind)
    return str(world.idle.cuid)


def retyped_version(world: World) -> str:
    change(world.waiting.version, entity_name_type=world.kind)
    return str(world.waiting.version.cuid)


def retyped_everything(world: World) -> str:
    retyped_both(world)
    for version in Version.objects.filter(workflow__in=[world.caller, world.callee]):
        change(version, entity_name_type=world.kind)
    return str(world.waiting.version.cuid)


def version_emptied(world: World) -> str:
    change(world.waiting.version, entity_name_type=None)
    return str(world.waiting.version.cuid)


def workflow_emptied(world: World) -> str:
    change(world.caller, entity_name_type=None)
    return world.waiting.cuid


def version_released(world: World) -> str:
    change(world.waiting.version, in_force=False)
    return world.waiting.cuid


def version_renumbered(world: World) -> str:
    change(world.waiting.version, number=7)
    return str(world.waiting.version.cuid)


def callee_edited(world: World) -> str:
    version = world.waiting.version
    source = {**version.source, "nodes": [dict(node) for node in version.source["nodes"]]}
    for node in source["nodes"]:
        if node["type"] == "run_workflow":
            node["data"] = {"workflow": world.idle.cuid}
    change(version, source=source)
    return str(version.cuid)


def checksum_edited(world: World) -> str:
    change(world.waiting.version, checksum="0")
    return str(world.waiting.version.cuid)


def pin_deleted(world: World) -> str:
    world.waiting.pins.all()._raw_delete("default")
    return world.waiting.cuid


def pins_deleted(world: World) -> str:
    Pin._base_manager.all()._raw_delete("default")
    return world.calling.cuid


def pin_of_another_workflow(world: World) -> str:
    change(world.waiting.pins.get(), version=world.idle.latest_version)
    return world.waiting.cuid


def pin_of_a_later_version(world: World) -> str:
    later = drawn(world.callee, form("later"))
    change(later, created_at=later.created_at + timedelta(days=1))
    change(world.waiting.pins.get(), version=later)
    return world.waiting.cuid


def pin_apart_from_child(world: World) -> str:
    later = drawn(world.callee, form("later"))
    change(world.calling.pins.get(), version=later)
    return world.child.cuid


def pin_let_go(world: World) -> str:
    change(world.waiting.pins.get(), live=False)
    return world.waiting.cuid


def pin_retyped(world: World) -> str:
    change(world.waiting.pins.get(), context_key=f"Finding:{world.kind.pk}:")
    return world.waiting.cuid


def on_another_workflows_version(world: World) -> str:
    change(world.waiting, version=world.idle.latest_version)
    return world.waiting.cuid


def of_another_workflow(world: World) -> str:
    change(world.waiting, workflow=world.idle)
    return world.waiting.cuid


def child_on_another_workflows_version(world: World) -> str:
    change(world.child, version=world.idle.latest_version)
    return world.child.cuid


def context_of_execution(world: World) -> str:
    change(world.waiting, context_key=f"Finding:{world.kind.pk}:")
    return world.waiting.cuid


def retyped_entity(world: World) -> str:
    change(world.scenario.finding, entity_name_type=world.kind)
    return world.waiting.cuid


def entity_of_child(world: World) -> str:
    change(world.child, entity=FindingFactory(entity_name_type=world.scenario.limitation))
    return world.child.cuid


def references_deleted(world: World) -> str:
    Reference._base_manager.all()._raw_delete("default")
    return str(world.waiting.version.cuid)


def reference_added(world: World) -> str:
    version = world.callee.latest_version
    world.reference(version, world.idle)
    return str(version.cuid)


def reference_in_a_cycle(world: World) -> str:
    world.reference(world.callee.latest_version, world.caller)
    return str(world.caller.cuid)


def reference_let_go(world: World) -> str:
    change(world.waiting.version.references.get(), in_force=False)
    return str(world.waiting.version.cuid)


def step_closed(world: World) -> str:
    change(world.waiting.steps.open().get(), state="done")
    return world.waiting.cuid


def step_closed_properly(world: World) -> str:
    step = world.waiting.steps.open().get()
    change(step, state="done", closed_at=step.opened_at)
    return world.waiting.cuid


def step_reopened(world: World) -> str:
    running.cancel(world.waiting)
    change(world.waiting.steps.get(node_id="form"), state="open")
    return world.waiting.cuid


def ended_alone(world: World) -> str:
    change(world.waiting, status="cancelled")
    return world.waiting.cuid


def root_ended_alone(world: World) -> str:
    change(world.calling, status="cancelled")
    return world.child.cuid


def child_ended_alone(world: World) -> str:
    Step.objects.filter(execution=world.child).update(state="cancelled")
    change(world.child, status="cancelled")
    return world.calling.cuid


def child_completed_alone(world: World) -> str:
    Step.objects.filter(execution=world.child).update(state="done")
    change(world.child, status="completed")
    return world.calling.cuid


def calling_step_closed(world: World) -> str:
    change(world.calling.steps.get(node_id="call"), state="done")
    return world.calling.cuid


def child_forgotten(world: World) -> str:
    change(world.calling.steps.get(node_id="call"), child=None)
    return world.child.cuid


def child_of_another_parent(world: World) -> str:
    change(world.child, parent=world.waiting)
    return world.child.cuid


def revived(world: World) -> str:
    running.cancel(world.waiting)
    change(world.waiting, status="waiting")
    return world.waiting.cuid


def job_deleted(world: World) -> str:
    Job.objects.all().delete()
    return world.sleeping.cuid


def others_asked(world: World) -> str:
    change(world.waiting.steps.get(node_id="form"), assignees='{"users":["nobody"]}')
    return world.waiting.cuid


def left_unsealed(world: World) -> str:
    Unsealed.objects.create(table_name="workflows_version", row_id=7, why="forgotten")
    return "7"


def counter_behind(world: World) -> str:
    number = AuditCounter.objects.get().last
    AuditCounter.objects.update(last=number - 2)
    return str(number - 2)


def at_a_join(world: World) -> Execution:
    """One of two branches waits at a join for the other."""
    workflow = WorkflowFactory(title="Joining", entity_name_type=world.scenario.limitation)
    nodes: dict[str, str | dict[str, Any]] = {"fork": "parallel", "join": "join"}
    forms = {"one": "user_action", "two": "user_action"}
    edges = ["start>fork", "fork>one", "fork>two", "one>join", "two>join", "join>end"]
    graph = source({"start": "start", **nodes, **forms, "end": "end"}, *edges)
    drawing.save_graph(workflow, graph, based_on=1)
    execution = running.start(workflow, world.scenario.finding)
    running.submit(execution, node="one", data={"note": "n"})
    return execution


def branch_closed(world: World) -> str:
    execution = at_a_join(world)
    change(execution.steps.get(node_id="two"), state="done", closed_at=timezone.now())
    return execution.cuid


def edge_unknown(world: World) -> str:
    execution = at_a_join(world)
    change(execution.steps.get(node_id="join"), input={"arrived": ["nowhere", 7, ["one", 1]]})
    return execution.cuid


MENDABLE: dict[str, tuple[str, Callable[[World], str]]] = {
    "type of a running workflow": ("L1", retyped_caller),
    "type of an idle workflow": ("L2", retyped_idle),
    "type of a callee": ("L3", retyped_callee),
    "type of caller and callee": ("L1", retyped_both),
    "type of a version": ("L4", retyped_version),
    "types of workflows and versions": ("L4", retyped_everything),
    "context of a version emptied": ("L4", version_emptied),
    "context of a workflow emptied": ("L1", workflow_emptied),
    "version released": ("L1", version_released),
    "version renumbered": ("L4", version_renumbered),
    "callee edited in a source": ("L4", callee_edited),
    "checksum edited": ("L4", checksum_edited),
    "pin deleted": ("L3", pin_deleted),
    "all pins deleted": ("L3", pins_deleted),
    "pin of another workflow's version": ("L3", pin_of_another_workflow),
    "pin of a later version": ("L3", pin_of_a_later_version),
    "pin apart from its child": ("L3", pin_apart_from_child),
    "pin let go": ("L3", pin_let_go),
    "context of a pin": ("L3", pin_retyped),
    "on another workflow's version": ("L1", on_another_workflows_version),
    "of another workflow": ("L1", of_another_workflow),
    "child on another workflow's version": ("L1", child_on_another_workflows_version),
    "context of an execution": ("L1", context_of_execution),
    "type of an entity": ("L5", retyped_entity),
    "entity of a child": ("L8", entity_of_child),
    "references deleted": ("L6", references_deleted),
    "reference added": ("L6", reference_added),
    "reference that closes a cycle": ("L7", reference_in_a_cycle),
    "reference let go": ("L6", reference_let_go),
    "open step closed": ("L8", step_closed),
    "open step closed, and told when": ("L8", step_closed_properly),
    "closed step opened": ("L8", step_reopened),
    "ended alone": ("L8", ended_alone),
    "root ended alone": ("L8", root_ended_alone),
    "child ended alone": ("L8", child_ended_alone),
    "child completed alone": ("L8", child_completed_alone),
    "calling step closed": ("L8", calling_step_closed),
    "calling step without its child": ("L8", child_forgotten),
    "child of another parent": ("L8", child_of_another_parent),
    "terminal execution revived": ("L8", revived),
    "jobs deleted": ("L8", job_deleted),
    "others asked than are named": ("L8", others_asked),
    "branch before a join closed": ("L8", branch_closed),
    "edge of a branch at a join unknown": ("L8", edge_unknown),
    "seal left open": ("seal", left_unsealed),
    "counter behind the log": ("audit", counter_behind),
}
"""What a repair mends by itself: the law that is broken, and what breaks it."""


def source_edited(world: World) -> str:
    change(world.waiting.version, source={**world.waiting.version.source, "extra": 1})
    return str(world.waiting.version.cuid)


def version_deleted(world: World) -> str:
    Version._base_manager.filter(pk=world.waiting.version_id)._raw_delete("default")
    return world.waiting.cuid


def entity_deleted(world: World) -> str:
    Entity._base_manager.filter(pk=world.scenario.finding.pk)._raw_delete("default")
    return world.waiting.cuid


def entry_deleted(world: World) -> str:
    AuditEntry.objects.filter(pk=3)._raw_delete("default")
    return "4"


def last_entry_deleted(world: World) -> str:
    last = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True)[0]
    AuditEntry.objects.filter(pk=last)._raw_delete("default")
    return str(last)


def trigger_without_secret(world: World) -> str:
    change(world.idle, trigger="webhook", trigger_data={"secret": "GONE"})
    return str(world.idle.cuid)


CHOSEN: dict[str, tuple[str, Callable[[World], str]]] = {
    "secret of a trigger gone": ("L9", trigger_without_secret),
    "source edited": ("L4", source_edited),
    "version deleted": ("key", version_deleted),
    "entity deleted": ("key", entity_deleted),
    "entry of the log deleted": ("audit", entry_deleted),
    "last entry of the log deleted": ("audit", last_entry_deleted),
}
"""What an operator has to choose about."""
