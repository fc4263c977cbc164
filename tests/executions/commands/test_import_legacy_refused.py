"""What ``manage.py import_legacy`` refuses, where in the file it stands, and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from executions import services as running
from executions.models import Execution
from tests.executions.legacy import (
    Importing,
    carry_to_the_end,
    row,
    rows,
    sample,
    with_endless_loop,
)
from tests.factories import FindingTypeFactory
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("laws")]


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
    (nowhere, "/executions/2/current_nodes", "does not tell where it stands"),
    (elsewhere, "/executions/2/current_nodes/0/node", "'gone', which its version has not"),
    (orphan, "/executions/4/parent", "which called it, has ended"),
    (uncalled, "/executions/4/parent", "does not stand where it calls it"),
    (wrong_child, "/executions/3/current_nodes/0/child", "does not call workflow 6"),
    (unscheduled, "/executions/2/scheduled_for", "not for when"),
    (cycle, "/workflows/2", "calls itself"),
]


@pytest.mark.parametrize(
    ("spoil", "pointer", "detail"), UNDECIDED, ids=[case[0].__name__ for case in UNDECIDED]
)
def test_what_could_not_run_here_is_told_with_its_place_and_left_out_whole(
    importing: Importing, spoil: Callable[[dict[str, Any]], None], pointer: str, detail: str
) -> None:
    data = sample()
    spoil(data)
    before = rows()
    told = importing(data)
    assert "nothing is brought in" in told["error"]
    assert any(row["pointer"] == pointer and detail in row["detail"] for row in told["undecided"])
    assert all(row["choice"] for row in told["undecided"])
    assert rows() == before
    told = importing(data, "--leave-out-undecided")
    assert told["brought"]["workflow"] == 4
    assert carry_to_the_end(101)["status"] == "completed"


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
    ("spoil", "pointer"), MALFORMED, ids=[case[0].__name__ for case in MALFORMED]
)
def test_a_file_that_is_not_in_the_layout_is_refused_with_the_place(
    importing: Importing, spoil: Callable[[dict[str, Any]], None], pointer: str
) -> None:
    data = sample()
    spoil(data)
    before = rows()
    # Whatever is asked to be left out: what is wrong with the file is wrong with all of it.
    told = importing(data, "--leave-out-undecided")
    assert "not in the layout" in told["error"] and f"{pointer}: " in told["error"]
    assert pointer in [row["pointer"] for row in told["malformed"]]
    assert rows() == before


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"holdfast_legacy": 1}', "[" * 100_000])
def test_what_is_no_such_file_is_told_in_a_sentence(importing: Importing, text: str) -> None:
    assert importing(text)["error"]
    assert not Workflow.objects.exists()


def test_wrong_arguments(importing: Importing) -> None:
    with pytest.raises(CommandError, match=r"no\.json: No such file"):
        call_command("import_legacy", "no.json")
    for wrong in ("5", "=3", "5="):
        assert "e.g. 4=" in importing(sample(), "--context", wrong)["error"]
    assert "77=1: No workflow" in importing(sample(), "--context", "77=1")["error"]
    assert "No type of the file" in importing(sample(), "--context", "4=77")["error"]
    assert "No user has the name" in importing(sample(), "--by", "nobody")["error"]
    assert not Workflow.objects.exists()


def test_a_trigger_that_is_taken_refuses_all_of_it(importing: Importing) -> None:
    kind = FindingTypeFactory(name="Policy Exception")
    Workflow.objects.create(title="first", entity_name_type=kind, trigger="created")
    data = sample()
    row(data, "workflows", 9)["trigger"] = "created"
    told = importing(data)
    assert told["refused"]["code"] == "trigger_taken"
    assert Workflow.objects.count() == 1
    row(data, "workflows", 9)["state"] = "retired"
    row(data, "workflows", 9)["trigger"] = "manual"
    assert importing(data)["error"] == ""


def test_no_workflow_is_started_by_what_is_brought_over(importing: Importing) -> None:
    data = sample()
    row(data, "workflows", 9)["trigger"] = "created"
    assert importing(data)["error"] == ""
    assert Execution.objects.count() == 13  # the child that 102 has called at last
    running.serve_due_starts()
    assert Execution.objects.count() == 13
