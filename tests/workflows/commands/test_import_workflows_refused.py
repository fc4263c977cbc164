"""``manage.py import_workflows``: refused files change nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, WorkflowFactory, form, save_line
from tests.test_dry_runs import all_rows
from tests.workflows.files import Importing, data_of, exported
from tests.workflows.test_loops import TRAP

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

Edit = Callable[[dict[str, Any]], Any]


def refused(importing: Importing, content: Any, *arguments: str) -> str:
    """Return the error; assert that it is the same with --apply and changes nothing."""
    before = all_rows()
    for apply in ([], ["--apply"]):
        importing(content, *arguments, *apply)
        assert importing.code == 1, "it was accepted"
        after = all_rows()
        if apply:
            # The attempt is recorded.
            for label in ("workflows.AuditEntry", "workflows.AuditCounter"):
                before.pop(label), after.pop(label)
        assert after == before
    return importing.error


CALL = "/workflows/1/nodes/2/data/workflow"
FLAWS: dict[str, tuple[Edit, str]] = {
    "format": (
        lambda d: d.update(format="holdfast-workflows/2"),
        "/format: The 'format' is 'holdfast-workflows/2'. Supported: 'holdfast-workflows/1'.",
    ),
    "no format": (lambda d: d.pop("format"), "The 'format' is missing. Supported:"),
    "top": (
        lambda d: d.update(extra=1),
        "/extra: Unknown key 'extra'. Allowed: format, finding_types, record_types, workfl",
    ),
    "no workflows": (lambda d: d.pop("workflows"), "'workflows' is missing."),
    "workflows": (
        lambda d: d.update(workflows={}),
        "/workflows: 'workflows' must be a list, not an object.",
    ),
    "workflow": (
        lambda d: d["workflows"].append("x"),
        "/workflows/2: A workflow must be an object, not text.",
    ),
    "key": (
        lambda d: d["workflows"][0].update(titel="x"),
        "/workflows/0/titel: Unknown key 'titel'. Allowed: cuid, title, description, state",
    ),
    "missing": (lambda d: d["workflows"][0].pop("state"), "/workflows/0: 'state' is missing."),
    "title": (
        lambda d: d["workflows"][0].update(title=7),
        "/workflows/0/title: 'title' must be text, not a number.",
    ),
    "empty title": (
        lambda d: d["workflows"][0].update(title=" "),
        "/workflows/0/title: 'title' is empty.",
    ),
    "long title": (
        lambda d: d["workflows"][0].update(title="x" * 201),
        "/workflows/0/title: 'title' is longer than 200 characters.",
    ),
    "cuid": (
        lambda d: d["workflows"][0].update(cuid="no cuid"),
        "/workflows/0/cuid: 'no cuid' is not a cuid: up to 25 letters and digits.",
    ),
    "cuid twice": (
        lambda d: d["workflows"].append({**d["workflows"][0], "title": "x"}),
        "/workflows/2: Two workflows of the file have the cuid",
    ),
    "state": (
        lambda d: d["workflows"][0].update(state="paused"),
        "/workflows/0/state: 'state' must be one of draft, active, retired, not 'paused'.",
    ),
    "entity name": (
        lambda d: d["workflows"][0].update(entity_name="Model"),
        "/workflows/0/entity_name: 'entity_name' must be one of Finding, InventoryModel, not",
    ),
    "both types": (
        lambda d: d["workflows"][0].update(primary_record_type={"name": "x"}),
        "A workflow for 'Finding' has 'entity_name_type', not 'primary_record_type'.",
    ),
    "no type": (
        lambda d: d["workflows"][0].pop("entity_name_type"),
        "/workflows/0: 'entity_name_type' is missing.",
    ),
    "type": (
        lambda d: d["workflows"][0].update(entity_name_type="Model Limitation"),
        "/workflows/0/entity_name_type: A finding type must be an object, not text.",
    ),
    "type named by nothing": (
        lambda d: d["workflows"][0].update(entity_name_type={"cuid": None}),
        "/workflows/0/entity_name_type: Set 'name' or 'cuid'.",
    ),
    "type not here": (
        lambda d: d["workflows"][0].update(entity_name_type={"name": "Nowhere"}),
        "/workflows/0/entity_name_type: The finding type “Nowhere” is neither in the file nor in",
    ),
    "type by two names": (
        lambda d: d["workflows"][0]["entity_name_type"].update(name="Other"),
        "has the name “Model Limitation” elsewhere in the file, not “Other”.",
    ),
    "type twice": (
        lambda d: d["finding_types"].append({"name": "Model Limitation", "cuid": "cother"}),
        "/finding_types/1: Two types of the file have the name “Model Limitation”.",
    ),
    "trigger": (
        lambda d: d["workflows"][0].update(trigger="sometimes"),
        "/workflows/0/trigger: 'trigger' must be one of manual, created, changed, webhook,",
    ),
    "details of the trigger": (
        lambda d: d["workflows"][0].update(trigger="webhook"),
        "/workflows/0/trigger_data: 'secret' must be the name of the signing secret",
    ),
    "graph": (
        lambda d: d["workflows"][0]["edges"].pop(),
        "/workflows/0/nodes/0: “Start” has no next step.",
    ),
    "endless loop": (
        lambda d: d["workflows"][0].update(copy.deepcopy(TRAP)),
        "/workflows/0/nodes/1: “fork” is part of a loop that never ends",
    ),
    "node": (
        lambda d: d["workflows"][0]["nodes"].append(None),
        "/workflows/0/nodes/2: A node must be an object, not null.",
    ),
    "call": (
        lambda d: d["workflows"][1]["nodes"][2]["data"].update(workflow="cuid"),
        f"{CALL}: The reference to a workflow must be an object, not text.",
    ),
    "call of nobody": (
        lambda d: d["workflows"][1]["nodes"][2]["data"].update(workflow={}),
        f"{CALL}: Set 'title' or 'cuid'.",
    ),
    "call of what is not here": (
        lambda d: d["workflows"][1]["nodes"][2]["data"].update(
            workflow={"title": "Nowhere", "cuid": "cnowhere"}
        ),
        f"{CALL}: The callee “Nowhere” (cnowhere) is neither in the file nor in the database.",
    ),
    "call by another title": (
        lambda d: d["workflows"][1]["nodes"][2]["data"]["workflow"].update(title="Other"),
        "has the title “Workflow 3” in the file, not “Other”.",
    ),
    "call of itself": (
        lambda d: d["workflows"][1]["nodes"][2]["data"].update(workflow={"title": "Workflow 4"}),
        "/workflows/1: The calls have a cycle: “Workflow 4” calls “Workflow 4”.",
    ),
    "NUL": (
        lambda d: d["workflows"][0].update(description="a\0b"),
        "/workflows/0/description: The value at /workflows/0/description contains a NUL character",
    ),
    "number of workflows": (lambda d: d["workflows"].append(7), "not a number."),
}


@pytest.mark.parametrize("name", FLAWS)
def test_problem_is_reported_with_its_place(
    scenario: Scenario, importing: Importing, name: str
) -> None:
    edit, said = FLAWS[name]
    sound = data_of(exported())
    flawed = copy.deepcopy(sound)
    edit(flawed)
    assert said in refused(importing, flawed)
    assert "unchanged" in importing(sound)


@pytest.mark.parametrize("content", ["", "x", "[]", "- a", "null", "7", "{}"])
def test_other_content_is_rejected(scenario: Scenario, importing: Importing, content: str) -> None:
    said = refused(importing, content)
    assert "A workflow file must be an object" in said or "The 'format' is missing" in said


def test_yaml_problems_have_lines_and_are_reported_together(
    scenario: Scenario, importing: Importing
) -> None:
    text = exported().replace("state: active", "state: paused").replace("trigger: manual", "x: y")
    rows = text.splitlines()
    lines = [number for number, row in enumerate(rows, 1) if "paused" in row or "x: y" in row]
    said = refused(importing, text)
    for number in lines:
        assert f"line {number}, /workflows/" in said
    assert "Unknown key" in said and "'trigger' is missing" in said


def test_many_problems_are_truncated_with_a_count(scenario: Scenario, importing: Importing) -> None:
    data = data_of(exported())
    data["workflows"] = [7] * 50
    assert "… and 30 more (--all lists them)." in refused(importing, data)
    assert len(importing.as_data(data)["problems"]) == 50
    assert "more" not in refused(importing, data, "--all")


def test_problems_are_printed_as_json(scenario: Scenario, importing: Importing) -> None:
    result = importing.as_data(exported().replace("state: active", "state: paused"))
    assert result["applied"] is False
    assert result["problems"][0]["pointer"] == "/workflows/0/state"
    assert result["problems"][0]["line"] == 11
    assert importing.code == 1


def test_cycle_through_a_workflow_outside_the_file_is_refused(
    scenario: Scenario, importing: Importing
) -> None:
    save_line(scenario.callee, form())
    data = data_of(exported("Workflow 3"))
    node = {"id": "form", "type": "run_workflow", "data": {"workflow": {"title": "Workflow 4"}}}
    data["workflows"][0]["nodes"][1] = node
    assert "The calls have a cycle: “Workflow 3” calls “Workflow 4” calls “Workflow 3”." in refused(
        importing, data
    )
    save_line(scenario.caller, form())
    importing(data, "--apply")
    assert not importing.error


class TestAmbiguousNames:
    def test_title_of_several_workflows_is_ambiguous(
        self, scenario: Scenario, importing: Importing
    ) -> None:
        text = exported()
        other = WorkflowFactory(title="Workflow 3", entity_name_type=scenario.limitation)
        said = refused(importing, text, "--match", "title")
        assert "/workflows/0: 2 workflows have the title “Workflow 3” (" in said
        assert other.cuid in said and scenario.callee.cuid in said
        assert "unchanged" in importing(text)
        other.title = "Workflow 5"
        other.save()
        assert "unchanged" in importing(text, "--match", "title")

    def test_two_entries_for_one_workflow_are_refused(
        self, scenario: Scenario, importing: Importing
    ) -> None:
        data = data_of(exported("Workflow 3"))
        data["workflows"].append({**data["workflows"][0], "cuid": "cother"})
        said = refused(importing, data, "--match", "title")
        assert "Two workflows of the file have the title “Workflow 3”. Use --match cuid." in said
        importing(data)
        assert not importing.error

    def test_cuid_of_another_title_is_refused(
        self, scenario: Scenario, importing: Importing
    ) -> None:
        text = exported()
        scenario.callee.title = "Renamed"
        scenario.callee.save()
        said = refused(importing, text, "--match", "title")
        assert f"The cuid {scenario.callee.cuid} belongs to “Renamed”" in said
        assert 'title: "Renamed" → "Workflow 3"' in importing(text)

    def test_type_with_another_cuid_is_refused(
        self, scenario: Scenario, importing: Importing
    ) -> None:
        cuid = scenario.limitation.cuid
        text = exported().replace(cuid, "cother")
        said = refused(importing, text)
        assert (
            f"“Model Limitation” exists with the cuid {cuid}, not cother. Use --match title" in said
        )
        assert "unchanged" in importing(text, "--match", "title")

    def test_type_with_another_name_is_refused(
        self, scenario: Scenario, importing: Importing
    ) -> None:
        text = exported()
        scenario.limitation.name = "Renamed"
        scenario.limitation.save()
        said = refused(importing, text, "--match", "title")
        assert "belongs to the finding type “Renamed”, not to “Model Limitation”" in said
        assert "unchanged" in importing(text)


def test_missing_file_and_unknown_user_are_errors(scenario: Scenario, importing: Importing) -> None:
    path = importing.path
    importing.path = path.with_name("nowhere") / "x.yaml"
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("import_workflows", str(importing.path))
    with pytest.raises(CommandError, match="No user has the name 'nobody'"):
        call_command("import_workflows", str(path), "--by", "nobody")


@pytest.mark.parametrize(
    "arguments", [[], ["--match", "name"], ["--apply", "--dry-run"], ["--nonsense"]]
)
def test_wrong_usage_is_an_error(
    scenario: Scenario, importing: Importing, arguments: list[str]
) -> None:
    files = [str(importing.path)] if arguments else []
    with pytest.raises(CommandError, match=r"^Error: "):
        call_command("import_workflows", *files, *arguments)


def test_finding_type_and_record_type_may_share_a_name(
    scenario: Scenario, importing: Importing
) -> None:
    data = data_of(exported())
    data["record_types"].append({"name": "Model Limitation", "cuid": "crecord"})
    FindingTypeFactory(name="Beside")
    assert "is not created" in importing(data)
    assert not importing.error
