"""``manage.py import_workflows``: rows of the file match by cuid, or by title."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, WorkflowFactory
from tests.workflows.commands.test_import_workflows import empty_database, node_of
from tests.workflows.files import Importing, data_of, exported, titled
from workflows.models import Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.sqlite,
    pytest.mark.usefixtures("invariants"),
]


def test_title_matches_workflows_of_another_database(
    scenario: Scenario, importing: Importing
) -> None:
    text = exported()
    empty_database()
    kind = FindingTypeFactory(name="Model Limitation")
    callee = WorkflowFactory(title="Workflow 3", entity_name_type=kind)
    out = importing(text, "--match", "title", "--apply")
    assert not importing.error
    assert out.startswith(f"+ workflow “Workflow 4” ({scenario.caller.cuid})")
    caller = Workflow.objects.get(title="Workflow 4")
    assert caller.entity_name_type == kind
    assert [row.callee for row in caller.latest_version.references.all()] == [callee]
    assert "unchanged" in importing(text, "--match", "title")


def test_file_without_cuids_needs_match_by_title(scenario: Scenario, importing: Importing) -> None:
    data = data_of(exported())
    for row in data["workflows"] + data["finding_types"]:
        del row["cuid"]
    for row in data["workflows"]:
        del row["entity_name_type"]["cuid"], row["description"], row["trigger_data"]
    del node_of(data, "Workflow 4", "call")["data"]["workflow"]["cuid"], data["record_types"]
    importing(data)
    assert "“Workflow 3” has no cuid. Use --match title to match by titles." in importing.error
    assert "= 2 workflows unchanged" in importing(data, "--match", "title")


def test_workflow_with_an_existing_title_is_noted(scenario: Scenario, importing: Importing) -> None:
    def edit(data: dict[str, Any]) -> None:
        titled(data, "Workflow 4")["cuid"] = "cnew"

    out = importing.edited(edit)
    assert (
        "note: “Workflow 4” (cnew) is created although another workflow has this title "
        f"({scenario.caller.cuid}). Use --match title to match by titles." in out
    )


def test_existing_callee_may_be_missing_in_the_file(
    scenario: Scenario, importing: Importing
) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["workflows"].remove(titled(data, "Workflow 3"))

    for arguments in ([], ["--match", "title"]):
        assert "= 1 workflow unchanged" in importing.edited(edit, *arguments)
