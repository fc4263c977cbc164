"""Rows to damage, and the way past keys, checks and write-once triggers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from executions import services as running
from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, form, save_line
from workflows.db import write_once
from workflows.models import Reference, Version, Workflow

SHAPES = {
    "workflows_version": "workflows_version_shape",
    "workflows_workflow": "workflows_workflow_shape",
    "workflows_pendingchange": "workflows_pendingchange_shape",
    "executions_entity": "executions_entity_shape",
}


@contextmanager
def unguarded() -> Iterator[None]:
    """Disable foreign keys, checks and write-once triggers inside the block."""
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
        # As in a database that was restored by hand: the rows are not validated again.
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
    """Write these columns without any guard of the program."""
    row._meta.concrete_model._base_manager.filter(pk=row.pk).update(**values)


class DamageTarget:
    """The scenario with an inner form: one root waits for its child, another one at its form."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.caller, self.callee = scenario.caller, scenario.callee
        save_line(self.callee, form("inner"))
        self.calling = scenario.start()
        running.submit(self.calling, node="form", data={"note": "n"})
        self.waiting = scenario.start()
        self.child: Execution = self.calling.children.get()
        self.kind = scenario.exception
        self.idle: Workflow = WorkflowFactory(title="Idle", entity_name_type=scenario.limitation)
        save_line(self.idle, form("other"))
        self.other = running.start(self.idle, scenario.finding)
        running.cancel(self.other)
        self.sleeper: Workflow = WorkflowFactory(
            title="Sleeper", entity_name_type=scenario.limitation
        )
        save_line(self.sleeper, {"id": "nap", "type": "wait", "data": {"interval": "P1D"}})
        self.sleeping = running.start(self.sleeper, scenario.finding)

    def add_reference(self, version: Version, callee: Workflow, node: str = "x") -> None:
        """Add a reference that the graph does not have."""
        row = Reference(
            version=version, node_id=node, callee=callee, context_key=version.context_key
        )
        Reference._base_manager.bulk_create([row])
