"""``manage.py import_legacy``: invalid files and undecided rows, with their place in the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from executions import services as running
from executions.models import Execution
from tests.executions.legacy import (
    ImportData,
    complete,
    row,
    row_counts,
    sample,
    with_endless_loop,
)
from tests.factories import FindingTypeFactory
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


def set_unknown_node_type(data: dict[str, Any]) -> None:
    row(data, "versions", 51)["source"]["nodes"][1]["type"] = "telepathy"


def remove_end(data: dict[str, Any]) -> None:
    source = row(data, "versions", 51)["source"]
    source["nodes"].pop()
    source["edges"].pop()


def add_endless_loop(data: dict[str, Any]) -> None:
    with_endless_loop(row(data, "versions", 51)["source"])


def remove_current_nodes(data: dict[str, Any]) -> None:
    row(data, "executions", 103)["current_nodes"] = []


def set_unknown_current_node(data: dict[str, Any]) -> None:
    row(data, "executions", 103)["current_nodes"] = [{"node": "gone"}]


def end_parent(data: dict[str, Any]) -> None:
    row(data, "executions", 104).update(status="completed", current_nodes=[])


def remove_calling_node(data: dict[str, Any]) -> None:
    row(data, "executions", 104)["current_nodes"] = [{"node": "intake"}]


def set_wrong_calling_node(data: dict[str, Any]) -> None:
    row(data, "executions", 104)["current_nodes"][0]["node"] = "intake"


def remove_scheduled_time(data: dict[str, Any]) -> None:
    row(data, "executions", 103).update(status="scheduled", current_nodes=[])


def add_call_cycle(data: dict[str, Any]) -> None:
    nodes = row(data, "versions", 61)["source"]["nodes"]
    nodes[1] = {**row(data, "versions", 51)["source"]["nodes"][2], "id": "check"}
    nodes[1]["data"] = {"workflow": 5}


UNDECIDED: list[tuple[Callable[[dict[str, Any]], None], str, str]] = [
    (set_unknown_node_type, "/versions/2/source/nodes/1/type", "unknown type 'telepathy'"),
    (remove_end, "/versions/2/source/nodes", "no end node"),
    (add_endless_loop, "/versions/2/source/nodes/4", "part of a loop that never ends"),
    (remove_current_nodes, "/executions/2/current_nodes", "has no current nodes"),
    (
        set_unknown_current_node,
        "/executions/2/current_nodes/0/node",
        "'gone' is not in its version",
    ),
    (end_parent, "/executions/4/parent", "its parent"),
    (remove_calling_node, "/executions/4/parent", "No current node of execution"),
    (set_wrong_calling_node, "/executions/3/current_nodes/0/child", "does not call workflow 6"),
    (remove_scheduled_time, "/executions/2/scheduled_for", "has no time"),
    (add_call_cycle, "/workflows/2", "calls itself"),
]


@pytest.mark.parametrize(
    ("change", "pointer", "detail"), UNDECIDED, ids=[case[0].__name__ for case in UNDECIDED]
)
def test_undecided_row_has_pointer_and_its_component_can_be_skipped(
    import_data: ImportData, change: Callable[[dict[str, Any]], None], pointer: str, detail: str
) -> None:
    data = sample()
    change(data)
    before = row_counts()
    result = import_data(data)
    assert "Nothing was imported" in result["error"]
    assert any(row["pointer"] == pointer and detail in row["detail"] for row in result["undecided"])
    assert all(row["remedy"] for row in result["undecided"])
    assert row_counts() == before
    result = import_data(data, "--leave-out-undecided")
    assert result["imported"]["workflow"] == 4
    assert complete(101)["status"] == "completed"


def add_unknown_key(data: dict[str, Any]) -> None:
    data["workflows"][0]["colour"] = "red"


def set_unknown_type(data: dict[str, Any]) -> None:
    data["findings"][0]["finding_type"] = 77


def set_unknown_finding(data: dict[str, Any]) -> None:
    data["executions"][0]["finding"] = "F-77"


def set_unknown_version(data: dict[str, Any]) -> None:
    data["executions"][0]["version"] = 7


def repeat_workflow_id(data: dict[str, Any]) -> None:
    data["workflows"][1]["id"] = data["workflows"][0]["id"]


def set_invalid_time(data: dict[str, Any]) -> None:
    data["executions"][0]["started_at"] = "yesterday"


def add_second_entity(data: dict[str, Any]) -> None:
    data["executions"][0]["inventory_model"] = "M-1"


def set_own_parent(data: dict[str, Any]) -> None:
    data["executions"][0]["parent"] = 101


def set_unknown_status(data: dict[str, Any]) -> None:
    data["executions"][0]["status"] = "asleep"


def set_other_format(data: dict[str, Any]) -> None:
    data["holdfast_legacy"] = 2


def add_nul_character(data: dict[str, Any]) -> None:
    data["findings"][0]["fields"] = {"a": "\0"}


INVALID: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (add_unknown_key, "/workflows/0/colour"),
    (set_unknown_type, "/findings/0/finding_type"),
    (set_unknown_finding, "/executions/0/finding"),
    (set_unknown_version, "/executions/0/version"),
    (repeat_workflow_id, "/workflows/1/id"),
    (set_invalid_time, "/executions/0/started_at"),
    (add_second_entity, "/executions/0"),
    (set_own_parent, "/executions/0/parent"),
    (set_unknown_status, "/executions/0/status"),
    (set_other_format, "/holdfast_legacy"),
    (add_nul_character, "/findings/0/fields/a"),
]


@pytest.mark.parametrize(("change", "pointer"), INVALID, ids=[case[0].__name__ for case in INVALID])
def test_invalid_file_is_refused_with_pointer(
    import_data: ImportData, change: Callable[[dict[str, Any]], None], pointer: str
) -> None:
    data = sample()
    change(data)
    before = row_counts()
    # The option does not apply to an invalid file.
    result = import_data(data, "--leave-out-undecided")
    assert "does not have the format" in result["error"] and f"{pointer}: " in result["error"]
    assert pointer in [row["pointer"] for row in result["problems"]]
    assert row_counts() == before


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"holdfast_legacy": 1}', "[" * 100_000])
def test_file_of_other_content_is_refused(import_data: ImportData, text: str) -> None:
    assert import_data(text)["error"]
    assert not Workflow.objects.exists()


def test_import_fails_for_wrong_arguments(import_data: ImportData) -> None:
    with pytest.raises(CommandError, match=r"no\.json: No such file"):
        call_command("import_legacy", "no.json")
    for wrong in ("5", "=3", "5="):
        assert "for example 4=" in import_data(sample(), "--context", wrong)["error"]
    assert "77=1: No workflow" in import_data(sample(), "--context", "77=1")["error"]
    assert "No type in the file" in import_data(sample(), "--context", "4=77")["error"]
    assert "No user has the name" in import_data(sample(), "--by", "nobody")["error"]
    assert not Workflow.objects.exists()


def test_import_is_refused_when_trigger_is_taken(import_data: ImportData) -> None:
    finding_type = FindingTypeFactory(name="Policy Exception")
    Workflow.objects.create(title="first", entity_name_type=finding_type, trigger="created")
    data = sample()
    row(data, "workflows", 9)["trigger"] = "created"
    result = import_data(data)
    assert result["refused"]["code"] == "trigger_taken"
    assert Workflow.objects.count() == 1
    row(data, "workflows", 9)["state"] = "retired"
    row(data, "workflows", 9)["trigger"] = "manual"
    assert import_data(data)["error"] == ""


def test_import_starts_no_workflow(import_data: ImportData) -> None:
    data = sample()
    row(data, "workflows", 9)["trigger"] = "created"
    assert import_data(data)["error"] == ""
    assert Execution.objects.count() == 13  # 102 starts its child
    running.serve_due_starts()
    assert Execution.objects.count() == 13
