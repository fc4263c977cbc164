"""``manage.py import_legacy``: invalid files and undecided rows, with their place in the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from executions import services as running
from executions.models import Execution
from tests.executions.legacy import (
    Importing,
    complete,
    row,
    row_counts,
    sample,
    with_endless_loop,
)
from tests.factories import FindingTypeFactory
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


def broken_graph(data: dict[str, Any]) -> None:
    row(data, "versions", 51)["source"]["nodes"][1]["type"] = "telepathy"


def no_end(data: dict[str, Any]) -> None:
    source = row(data, "versions", 51)["source"]
    source["nodes"].pop()
    source["edges"].pop()


def endless(data: dict[str, Any]) -> None:
    with_endless_loop(row(data, "versions", 51)["source"])


def nowhere(data: dict[str, Any]) -> None:
    row(data, "executions", 103)["current_nodes"] = []


def elsewhere(data: dict[str, Any]) -> None:
    row(data, "executions", 103)["current_nodes"] = [{"node": "gone"}]


def orphan(data: dict[str, Any]) -> None:
    row(data, "executions", 104).update(status="completed", current_nodes=[])


def uncalled(data: dict[str, Any]) -> None:
    row(data, "executions", 104)["current_nodes"] = [{"node": "intake"}]


def wrong_child(data: dict[str, Any]) -> None:
    row(data, "executions", 104)["current_nodes"][0]["node"] = "intake"


def unscheduled(data: dict[str, Any]) -> None:
    row(data, "executions", 103).update(status="scheduled", current_nodes=[])


def cycle(data: dict[str, Any]) -> None:
    nodes = row(data, "versions", 61)["source"]["nodes"]
    nodes[1] = {**row(data, "versions", 51)["source"]["nodes"][2], "id": "check"}
    nodes[1]["data"] = {"workflow": 5}


UNDECIDED: list[tuple[Callable[[dict[str, Any]], None], str, str]] = [
    (broken_graph, "/versions/2/source/nodes/1/type", "unknown type 'telepathy'"),
    (no_end, "/versions/2/source/nodes", "no end and no fail"),
    (endless, "/versions/2/source/nodes/4", "part of a loop that never ends"),
    (nowhere, "/executions/2/current_nodes", "has no current nodes"),
    (elsewhere, "/executions/2/current_nodes/0/node", "'gone' is not in its version"),
    (orphan, "/executions/4/parent", "its parent"),
    (uncalled, "/executions/4/parent", "No current node of execution"),
    (wrong_child, "/executions/3/current_nodes/0/child", "does not call workflow 6"),
    (unscheduled, "/executions/2/scheduled_for", "has no time"),
    (cycle, "/workflows/2", "calls itself"),
]


@pytest.mark.parametrize(
    ("change", "pointer", "detail"), UNDECIDED, ids=[case[0].__name__ for case in UNDECIDED]
)
def test_undecided_row_has_pointer_and_its_component_can_be_skipped(
    importing: Importing, change: Callable[[dict[str, Any]], None], pointer: str, detail: str
) -> None:
    data = sample()
    change(data)
    before = row_counts()
    result = importing(data)
    assert "Nothing was imported" in result["error"]
    assert any(row["pointer"] == pointer and detail in row["detail"] for row in result["undecided"])
    assert all(row["remedy"] for row in result["undecided"])
    assert row_counts() == before
    result = importing(data, "--leave-out-undecided")
    assert result["imported"]["workflow"] == 4
    assert complete(101)["status"] == "completed"


def unknown_key(data: dict[str, Any]) -> None:
    data["workflows"][0]["colour"] = "red"


def no_such_type(data: dict[str, Any]) -> None:
    data["findings"][0]["finding_type"] = 77


def no_such_finding(data: dict[str, Any]) -> None:
    data["executions"][0]["finding"] = "F-77"


def no_such_version(data: dict[str, Any]) -> None:
    data["executions"][0]["version"] = 7


def twice(data: dict[str, Any]) -> None:
    data["workflows"][1]["id"] = data["workflows"][0]["id"]


def no_time(data: dict[str, Any]) -> None:
    data["executions"][0]["started_at"] = "yesterday"


def both(data: dict[str, Any]) -> None:
    data["executions"][0]["inventory_model"] = "M-1"


def own_parent(data: dict[str, Any]) -> None:
    data["executions"][0]["parent"] = 101


def no_status(data: dict[str, Any]) -> None:
    data["executions"][0]["status"] = "asleep"


def other_layout(data: dict[str, Any]) -> None:
    data["holdfast_legacy"] = 2


def nul(data: dict[str, Any]) -> None:
    data["findings"][0]["fields"] = {"a": "\0"}


MALFORMED: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (unknown_key, "/workflows/0/colour"),
    (no_such_type, "/findings/0/finding_type"),
    (no_such_finding, "/executions/0/finding"),
    (no_such_version, "/executions/0/version"),
    (twice, "/workflows/1/id"),
    (no_time, "/executions/0/started_at"),
    (both, "/executions/0"),
    (own_parent, "/executions/0/parent"),
    (no_status, "/executions/0/status"),
    (other_layout, "/holdfast_legacy"),
    (nul, "/findings/0/fields/a"),
]


@pytest.mark.parametrize(
    ("change", "pointer"), MALFORMED, ids=[case[0].__name__ for case in MALFORMED]
)
def test_invalid_file_is_refused_with_pointer(
    importing: Importing, change: Callable[[dict[str, Any]], None], pointer: str
) -> None:
    data = sample()
    change(data)
    before = row_counts()
    # The option does not apply to an invalid file.
    result = importing(data, "--leave-out-undecided")
    assert "does not have the format" in result["error"] and f"{pointer}: " in result["error"]
    assert pointer in [row["pointer"] for row in result["problems"]]
    assert row_counts() == before


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"holdfast_legacy": 1}', "[" * 100_000])
def test_file_of_other_content_is_refused(importing: Importing, text: str) -> None:
    assert importing(text)["error"]
    assert not Workflow.objects.exists()


def test_import_fails_for_wrong_arguments(importing: Importing) -> None:
    with pytest.raises(CommandError, match=r"no\.json: No such file"):
        call_command("import_legacy", "no.json")
    for wrong in ("5", "=3", "5="):
        assert "for example 4=" in importing(sample(), "--context", wrong)["error"]
    assert "77=1: No workflow" in importing(sample(), "--context", "77=1")["error"]
    assert "No type in the file" in importing(sample(), "--context", "4=77")["error"]
    assert "No user has the name" in importing(sample(), "--by", "nobody")["error"]
    assert not Workflow.objects.exists()


def test_import_is_refused_when_trigger_is_taken(importing: Importing) -> None:
    finding_type = FindingTypeFactory(name="Policy Exception")
    Workflow.objects.create(title="first", entity_name_type=finding_type, trigger="created")
    data = sample()
    row(data, "workflows", 9)["trigger"] = "created"
    result = importing(data)
    assert result["refused"]["code"] == "trigger_taken"
    assert Workflow.objects.count() == 1
    row(data, "workflows", 9)["state"] = "retired"
    row(data, "workflows", 9)["trigger"] = "manual"
    assert importing(data)["error"] == ""


def test_import_starts_no_workflow(importing: Importing) -> None:
    data = sample()
    row(data, "workflows", 9)["trigger"] = "created"
    assert importing(data)["error"] == ""
    assert Execution.objects.count() == 13  # 102 starts its child
    running.serve_due_starts()
    assert Execution.objects.count() == 13
