"""The sample file of an older system, and helpers to change and import it."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from executions.legacy_import.legacy_rows import LegacyData
from executions.models import Closure, ClosureMember, Entity, Execution, Job, Step
from tests.factories import user_in
from tests.workflows.api.clients import Client
from workflows.models import AuditEntry, FindingType, PendingChange, Reference, Version, Workflow

SAMPLE = Path(__file__).parents[1] / "data" / "legacy.json"
_LEGACY = LegacyData("grc")


def sample() -> dict[str, Any]:
    """Return a copy of the sample that a test can change."""
    found: dict[str, Any] = deepcopy(json.loads(SAMPLE.read_text()))
    return found


def row(data: dict[str, Any], table: str, old_id: int | str) -> dict[str, Any]:
    """Return a row of the file that a test can change."""
    found: dict[str, Any] = next(row for row in data[table] if row["id"] == old_id)
    return found


def with_endless_loop(source: dict[str, Any]) -> None:
    """Insert a fork that leads to itself before the end of a graph."""
    source["nodes"].append({"id": "loop", "type": "parallel"})
    last = next(edge for edge in source["edges"] if edge["target"] == "end")
    last["target"] = "loop"
    source["edges"] += [{"source": "loop", "target": target} for target in ("loop", "end")]


def execution(old_id: int) -> Execution:
    """Return the imported execution."""
    return Execution.objects.get(cuid=_LEGACY.cuid("execution", str(old_id)))


def workflow(old_id: int) -> Workflow:
    """Return the imported workflow."""
    found: Workflow = Workflow.objects.get(cuid=_LEGACY.workflow_cuid(str(old_id)))
    return found


def copies(data: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the file with copies of all rows except the types."""
    tables = ("inventory_models", "findings", "workflows", "versions", "executions")
    names = {"id", "workflow", "finding", "inventory_model", "child", "parent"}

    def renamed(value: Any, tail: str, key: str = "") -> Any:
        if isinstance(value, dict):
            # The ids of nodes are not changed.
            unchanged = (
                {"id"} if "position" in value or "data" in value or "type" in value else set()
            )
            return {
                name: item if name in unchanged else renamed(item, tail, name)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [renamed(item, tail) for item in value]
        return f"{value}{tail}" if key in names and value is not None else value

    made = deepcopy(data)
    for table in tables:
        made[table] = [renamed(row, f"-{copy}") for copy in range(number) for row in data[table]]
    return made


ImportData = Callable[..., dict[str, Any]]
TABLES = (
    *(FindingType, Workflow, Version, Reference, Entity, Execution, Closure, ClosureMember),
    *(Step, Job),
)


def row_counts() -> list[int]:
    """Return the numbers of rows of all models that an import writes."""
    return [model.objects.count() for model in (*TABLES, PendingChange, AuditEntry)]


def import_sample(import_data: ImportData) -> dict[str, Any]:
    result = import_data(sample())
    assert result["error"] == ""
    return result


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


def complete(old_id: int) -> dict[str, Any]:
    """Complete an execution and its children through the API. Return the execution as JSON."""
    participant, operator = client("participant"), client("operator")
    cuid = execution(old_id).cuid
    for _ in range(10):
        data: dict[str, Any] = operator.get(f"executions/{cuid}/").json()
        if not data["open_steps"]:
            break
        (step,) = data["open_steps"]
        child = execution(old_id).children.live().first()
        at = cuid if child is None else child.cuid
        if child is not None:
            (step,) = operator.get(f"executions/{at}/").json()["open_steps"]
        if step["type"] == "user_action":
            body = {"node": step["node"], "data": ANSWERS[step["node"]]}
            response = participant.post(f"executions/{at}/submit/", body)
        else:
            response = operator.post(f"executions/{at}/wake/", {"node": step["node"]})
        assert response.status_code == 200, response.json()
    return data
