"""The sample of an older system, and what tests change in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from executions.legacy_import.old_rows import Old
from executions.models import Entity, Execution, Job, Pin, Step
from tests.factories import user_in
from tests.workflows.api.clients import Client
from workflows.models import AuditEntry, FindingType, PendingChange, Reference, Version, Workflow

SAMPLE = Path(__file__).parents[1] / "data" / "legacy.json"
_OLD = Old("grc")


def sample() -> dict[str, Any]:
    """A copy of the sample to change."""
    found: dict[str, Any] = deepcopy(json.loads(SAMPLE.read_text()))
    return found


def row(data: dict[str, Any], table: str, old_id: int | str) -> dict[str, Any]:
    """A row of the file, to change."""
    found: dict[str, Any] = next(row for row in data[table] if row["id"] == old_id)
    return found


def with_endless_loop(source: dict[str, Any]) -> None:
    """Put a fork that leads into itself before the end of a graph."""
    source["nodes"].append({"id": "loop", "type": "parallel"})
    last = next(edge for edge in source["edges"] if edge["target"] == "end")
    last["target"] = "loop"
    source["edges"] += [{"source": "loop", "target": target} for target in ("loop", "end")]


def execution(old_id: int) -> Execution:
    """What an execution of the sample has become."""
    return Execution.objects.get(cuid=_OLD.cuid("execution", str(old_id)))


def workflow(old_id: int) -> Workflow:
    """What a workflow of the sample has become."""
    found: Workflow = Workflow.objects.get(cuid=_OLD.workflow_cuid(str(old_id)))
    return found


def copies(data: dict[str, Any], number: int) -> dict[str, Any]:
    """The file with all of it, but for the types, so many times."""
    tables = ("inventory_models", "findings", "workflows", "versions", "executions")
    names = {"id", "workflow", "finding", "inventory_model", "child", "parent"}

    def renamed(value: Any, tail: str, key: str = "") -> Any:
        if isinstance(value, dict):
            # A node keeps its id.
            kept = {"id"} if "position" in value or "data" in value or "type" in value else set()
            return {
                name: item if name in kept else renamed(item, tail, name)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [renamed(item, tail) for item in value]
        return f"{value}{tail}" if key in names and value is not None else value

    made = deepcopy(data)
    for table in tables:
        made[table] = [renamed(row, f"-{copy}") for copy in range(number) for row in data[table]]
    return made


Importing = Callable[..., dict[str, Any]]
TABLES = (FindingType, Workflow, Version, Reference, Entity, Execution, Pin, Step, Job)


def rows() -> list[int]:
    """How many rows there are of everything that an import writes."""
    return [model.objects.count() for model in (*TABLES, PendingChange, AuditEntry)]


def come_in(importing: Importing) -> dict[str, Any]:
    told = importing(sample())
    assert told["error"] == ""
    return told


def client(role: str) -> Client:
    found = Client()
    found.force_login(user_in(role))
    return found


ANSWERS = {
    "review": {"note": "seen"},
    "remediate": {"plan": "refit"},
    "intake": {"reason": "yearly"},
    "check": {"finding": "none"},
    "attest": {"statement": "all is well"},
}


def carry_to_the_end(old_id: int) -> dict[str, Any]:
    """Do through the API whatever an execution and what it has called wait for."""
    participant, operator = client("participant"), client("operator")
    cuid = execution(old_id).cuid
    for _ in range(10):
        shown: dict[str, Any] = operator.get(f"executions/{cuid}/").json()
        if not shown["open_steps"]:
            break
        (step,) = shown["open_steps"]
        below = execution(old_id).children.live().first()
        at = cuid if below is None else below.cuid
        if below is not None:
            (step,) = operator.get(f"executions/{at}/").json()["open_steps"]
        if step["type"] == "user_action":
            data = {"node": step["node"], "data": ANSWERS[step["node"]]}
            response = participant.post(f"executions/{at}/submit/", data)
        else:
            response = operator.post(f"executions/{at}/wake/", {"node": step["node"]})
        assert response.status_code == 200, response.json()
    return shown
