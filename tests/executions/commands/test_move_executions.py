"""``manage.py move_executions``: live executions go to another version, tree by tree."""

from __future__ import annotations

import json
from typing import Any

import pytest

from executions import services
from executions.models import Execution, Move
from tests.commands import main, run
from tests.executions.moves import correct, save, start_at
from tests.factories import FindingFactory, form, line

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


def start_three() -> tuple[Execution, ...]:
    """Start two executions on version 1 and one on version 2 of a workflow."""
    first = start_at(form("old"))
    kind = first.workflow.entity_name_type
    second = services.start(first.workflow, FindingFactory(entity_name_type=kind))
    correct(first, form("new"), form("last"))
    third = services.start(first.workflow, FindingFactory(entity_name_type=kind))
    correct(first, form("new"))
    return first, second, third


def move(execution: Execution, *arguments: str) -> dict[str, Any]:
    cuid = execution.workflow.cuid
    code, out, _ = main("move_executions", cuid, "--json", *arguments)
    found: dict[str, Any] = json.loads(out)
    assert code == (1 if found["refused"] else 0)
    return found


def test_dry_run_reports_and_changes_nothing() -> None:
    first, second, third = start_three()
    found = move(first, "--dry-run")
    assert [row["execution"] for row in found["moved"]] == [third.cuid]
    assert [row["execution"] for row in found["refused"]] == [first.cuid, second.cuid]
    assert found["refused"][0]["obstacles"][0]["code"] == "no_target"
    assert not Move.objects.exists()


def test_mapped_executions_are_moved_and_a_second_run_moves_nothing() -> None:
    executions = start_three()
    found = move(executions[0], "--map", "old=new", "--why", "Wrong graph")
    assert [row["execution"] for row in found["moved"]] == [row.cuid for row in executions]
    assert {row.why for row in Move.objects.all()} == {"Wrong graph"}
    again = move(executions[0], "--map", "new=new")
    assert again["moved"] == [] and len(again["unchanged"]) == 3
    assert Move.objects.count() == 3


def test_one_version_is_moved_to_a_named_one() -> None:
    first, second, _third = start_three()
    out = run("move_executions", first.workflow.title, "--from=1", "--to=2", "--map=old=new")
    assert f"moved: {second.cuid}: version 1 → 2 (old → new)" in out
    assert "2 executions moved." in out
    assert {row.version.number for row in Execution.objects.all()} == {2}


def test_restarted_step_enters_a_node_of_another_type() -> None:
    execution = start_at(form())
    save(execution.workflow, line({"id": "nap", "type": "wait", "data": {"interval": "P1D"}}))
    move(execution, "--restart", "form=nap", "--retime")
    assert execution.steps.open().get().node_id == "nap"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--map", "form"], 2, "--map needs OLD=NEW, not “form”."),
        (["--restart", "=form"], 2, "--restart needs OLD=NEW"),
        (["--map", "nowhere=form"], 1, "No live execution runs a version with the node “nowhere”."),
        (["--to", "9"], 1, "has no version 9."),
        (["--from", "9"], 1, "has no version 9."),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], code: int, message: str) -> None:
    execution = start_at(form())
    found, _, err = main("move_executions", execution.workflow.cuid, *arguments)
    assert found == code and message in err


def test_refused_execution_is_listed_with_the_remedy() -> None:
    execution = start_at(form("old"))
    correct(execution, form("new"))
    code, out, err = main("move_executions", execution.workflow.cuid)
    assert code == 1 and "1 execution could not be moved." in err
    assert f"not moved: {execution.cuid}: The new version has no node “old”." in out
    assert "What you can do: Map “old” to a node of the new version." in out
