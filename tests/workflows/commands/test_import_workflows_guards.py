"""``manage.py import_workflows``: the guards refuse a file as they refuse an edit."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from executions.services import cancel
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, form, save_line
from tests.workflows.commands.test_import_workflows_refused import refused
from tests.workflows.files import Importing, data_of, exported, titled
from workflows import editing
from workflows.models import AuditEntry, Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


def to_exception(scenario: Scenario) -> dict[str, Any]:
    """Change the types of all workflows, and add a workflow before and after them."""
    data = data_of(exported("Workflow 4"))
    exception = {"cuid": scenario.exception.cuid, "name": "Policy Exception"}
    data["finding_types"].append(exception)
    new = {**copy.deepcopy(titled(data, "Workflow 3")), "cuid": "a0", "title": "New"}
    data["workflows"] = [new, *data["workflows"], {**new, "cuid": "z0", "title": "Newer"}]
    for row in data["workflows"]:
        row["entity_name_type"] = {**exception}
    return data


def test_import_is_refused_when_an_execution_would_be_stranded(
    scenario: Scenario, importing: Importing
) -> None:
    execution = scenario.start()
    data = to_exception(scenario)
    said = refused(importing, data, "--why", "because")
    first, *rest = said.splitlines()
    assert first.startswith("Nothing was imported. “Workflow 3” (")
    assert first.endswith(
        "Cannot change finding type while this workflow has active executions. [active_executions]"
    )
    assert f"  blocked by execution {execution.cuid} (waiting) of “Workflow 4”" in rest
    assert "  what you can do: Finish or cancel 1 live execution first." in rest
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.refused, entry.code, entry.why) == (True, "active_executions", "because")
    assert entry.face == "command"
    result = importing.as_data(data)
    assert result["refused"]["code"] == "active_executions"
    assert result["refused"]["at"]["pointer"] == "/workflows/1"
    assert result["refused"]["at"]["workflows"] == [scenario.callee.cuid, scenario.caller.cuid]
    assert result["refused"]["blockers"]["executions"][0]["cuid"] == execution.cuid
    cancel(execution)
    importing(data, "--apply")
    assert not importing.error
    assert set(Workflow.objects.values_list("entity_name_type", flat=True)) == {
        scenario.exception.pk
    }


def test_import_is_refused_when_a_caller_outside_the_file_would_cross_contexts(
    scenario: Scenario, importing: Importing
) -> None:
    data = data_of(exported("Workflow 3"))
    data["workflows"][0]["entity_name_type"] = {"name": "Policy Exception"}
    said = refused(importing, data)
    assert "Run Workflow: Incompatible entity name types." in said
    assert f"blocked by workflow {scenario.caller.cuid} “Workflow 4”" in said
    assert "what you can do: Change these workflows together: “Workflow 3”, “Workflow 4”." in said
    save_line(scenario.caller, form())
    importing(data, "--apply")
    assert not importing.error


def test_call_of_a_retired_workflow_is_refused(scenario: Scenario, importing: Importing) -> None:
    data = data_of(exported("Workflow 4"))
    data["workflows"].remove(titled(data, "Workflow 3"))
    save_line(scenario.caller, form())
    editing.retire(scenario.callee)
    said = refused(importing, data)
    assert "“Workflow 4”" in said and "is retired and cannot be called." in said
    editing.set_state(scenario.callee, "active")
    importing(data, "--apply")
    assert not importing.error


def test_retirement_of_a_callee_is_refused(scenario: Scenario, importing: Importing) -> None:
    data = data_of(exported())
    titled(data, "Workflow 3")["state"] = "retired"
    said = refused(importing, data)
    assert "[referenced]" in said and f"blocked by workflow {scenario.caller.cuid}" in said
    titled(data, "Workflow 4")["state"] = "retired"
    importing(data, "--apply")
    assert not importing.error


def test_second_creation_trigger_of_a_type_is_refused(
    scenario: Scenario, importing: Importing
) -> None:
    data = data_of(exported())
    titled(data, "Workflow 4")["trigger"] = "created"
    other = WorkflowFactory(trigger="created", entity_name_type=scenario.limitation)
    said = refused(importing, data)
    assert "[trigger_taken]" in said and f"blocked by workflow {other.cuid}" in said
    editing.retire(other)
    importing(data, "--apply")
    assert not importing.error


def test_two_creation_triggers_in_a_file_are_refused(
    scenario: Scenario, importing: Importing
) -> None:
    data = data_of(exported())
    for row in data["workflows"]:
        row["trigger"] = "created"
    assert "[trigger_taken]" in refused(importing, data)
    data["workflows"][0]["trigger"] = "manual"
    importing(data, "--apply")
    assert not importing.error


def test_call_across_types_is_refused(scenario: Scenario, importing: Importing) -> None:
    data = data_of(exported())
    new = {**titled(data, "Workflow 4"), "cuid": "cnew", "title": "New"}
    new["entity_name_type"] = {"name": "Policy Exception"}
    data["workflows"].append(new)
    said = refused(importing, data)
    assert "“New” (cnew)" in said
    assert (
        "Run Workflow: Incompatible entity name types. Current workflow has type "
        f"'{scenario.exception.cuid}' but referenced workflow has type "
        f"'{scenario.limitation.cuid}'." in said
    )
