"""``manage.py import_workflows``: differences, and ``--apply``."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.db import transaction

from executions.management.commands import import_workflows
from executions.models import Entity, Execution, Secret
from executions.services import submit
from tests.conftest import Scenario
from tests.factories import (
    RecordTypeFactory,
    UserFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
)
from tests.test_dry_runs import all_rows
from tests.workflows.files import Importing, data_of, exported, titled
from workflows import editing
from workflows.models import AuditEntry, FindingType, RecordType, Version, Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.sqlite,
    pytest.mark.usefixtures("invariants"),
]


def empty_database() -> None:
    """Delete everything that was exported."""
    with transaction.atomic():
        Execution._base_manager.all()._raw_delete("default")
        Entity.objects.all().delete()
        for row in reversed(Workflow.objects.order_by("pk")):
            row.delete()
        FindingType.objects.all().delete()
        RecordType.objects.all().delete()


def node_of(data: dict[str, Any], title: str, node_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        row for row in titled(data, title)["nodes"] if row["id"] == node_id
    )
    return found


@pytest.fixture
def mixed_workflows(scenario: Scenario) -> Scenario:
    """Add workflows with every kind of setting to the scenario."""
    kind = RecordTypeFactory(name="Model", description="What is\nlisted")
    models = {
        "entity_name": "InventoryModel",
        "entity_name_type": None,
        "primary_record_type": kind,
    }
    inner = WorkflowFactory(title="Inner", **models)
    outer = WorkflowFactory(
        title="Outer", description="Two\nlines", trigger="created", state="draft", **models
    )
    save_line(outer, {**call(inner, "one"), "position": {"x": 1.5, "y": -2}}, call(inner, "two"))
    rule = {"field": "severity", "op": "gte", "value": 3}
    scenario.callee.trigger = "changed"
    scenario.callee.trigger_data = {"fields": ["severity"], "rule": rule}
    scenario.callee.save()
    old = WorkflowFactory(title="Old", entity_name_type=scenario.limitation)
    save_line(old, call(scenario.callee))
    editing.retire(old)
    return scenario


@pytest.mark.parametrize("form_of", ["yaml", "json"])
@pytest.mark.both_databases
def test_import_into_an_empty_database_exports_the_same_bytes(
    mixed_workflows: Scenario, importing: Importing, form_of: str
) -> None:
    text = exported("--all", "--format", form_of)
    empty_database()
    out = importing(text)
    assert not importing.error
    assert "+ workflow “Outer”" in out and "draft, record type “Model”, trigger created" in out
    assert "Nothing was changed. Make the changes with --apply." in out
    assert not Workflow.objects.exists() and not FindingType.objects.exists()
    assert "Imported." in importing(text, "--apply")
    assert not importing.error
    assert exported("--all", "--format", form_of) == text
    assert set(Version.objects.values_list("number", flat=True)) == {1}


def test_import_workflows_writes_nothing_when_nothing_differs(
    mixed_workflows: Scenario, importing: Importing
) -> None:
    text, before = exported("--all"), all_rows()
    for arguments in ([], ["--apply"], ["--match", "title", "--apply"], ["--dry-run"]):
        out = importing(text, *arguments)
        assert "= 5 workflows unchanged\nNo differences.\n" in out
    assert all_rows() == before


def test_dry_run_reports_what_apply_does(mixed_workflows: Scenario, importing: Importing) -> None:
    data = data_of(exported("--all"))
    titled(data, "Workflow 4").update(title="Renamed", description="Why")
    for node in titled(data, "Renamed")["nodes"]:
        if node["id"] == "form":
            node["data"]["button_label"] = "Go"
    before = all_rows()
    tried = importing.as_data(data)
    assert all_rows() == before
    done = importing.as_data(data, "--apply")
    assert (tried.pop("applied"), done.pop("applied")) == (False, True)
    assert tried == done
    row = next(row for row in done["workflows"] if row["title"] == "Renamed")
    assert (row["status"], row["version"]) == ("changed", 1)
    assert row["settings"] == {
        "title": {"before": "Workflow 4", "after": "Renamed"},
        "description": {"before": "", "after": "Why"},
    }
    assert row["graph"]["nodes"] == {"form": "changed"}
    assert row["graph"]["fields"]["form"] == [
        {"path": "data.button_label", "change": "added", "before": None, "after": "Go"}
    ]
    assert {row["status"] for row in done["workflows"]} == {"changed", "unchanged"}
    assert {row["status"] for row in importing.as_data(data)["workflows"]} == {"unchanged"}


def test_import_prints_a_diff(scenario: Scenario, importing: Importing) -> None:
    other = WorkflowFactory(title="Other", entity_name_type=scenario.limitation)
    save_line(scenario.callee, form("gone"))

    def edit(data: dict[str, Any]) -> None:
        caller = titled(data, "Workflow 4")
        caller["state"] = "draft"
        node_of(data, "Workflow 4", "call")["data"]["workflow"] = {"title": "Other"}
        callee = titled(data, "Workflow 3")
        del callee["nodes"][1], callee["edges"][1]
        callee["edges"][0]["target"] = "end"

    out = importing.edited(edit)
    assert not importing.error
    assert out.splitlines() == [
        f"~ workflow “Workflow 3” ({scenario.callee.cuid}), version 1",
        "    - node gone (user_action)",
        "    + edge start → end",
        "    - edge start → gone",
        "    - edge gone → end",
        f"~ workflow “Workflow 4” ({scenario.caller.cuid}), version 1",
        '    state: "active" → "draft"',
        "    ~ node call (run_workflow)",
        f"        data.workflow: “Workflow 3” ({scenario.callee.cuid}) → “Other” ({other.cuid})",
        "= 1 workflow unchanged",
        "Nothing was changed. Make the changes with --apply.",
    ]


MOVED = "    ~ positions or order of nodes and edges\n"


def test_rearranged_graph_is_reported_as_a_change(scenario: Scenario, importing: Importing) -> None:
    def moved(data: dict[str, Any]) -> None:
        node_of(data, "Workflow 4", "form")["position"] = {"x": 7, "y": 8}

    def turned(data: dict[str, Any]) -> None:
        titled(data, "Workflow 4")["edges"].reverse()
        node_of(data, "Workflow 4", "form")["data"]["title"] = "Say more"

    def ask(data: dict[str, Any]) -> None:
        node_of(data, "Workflow 4", "form")["data"]["title"] = "Say less"

    for edit in (moved, turned):
        assert MOVED in importing.edited(edit)
        importing.edited(edit, "--apply")
        assert "unchanged" in importing.edited(edit)
    assert "position: {x: 7, y: 8}" in exported()
    assert MOVED not in importing.edited(ask)


def test_import_of_other_positions_makes_no_version(
    scenario: Scenario, importing: Importing
) -> None:
    scenario.start()
    before = list(Version.objects.values_list("pk", "checksum"))

    def moved(data: dict[str, Any]) -> None:
        node_of(data, scenario.caller.title, "form")["position"] = {"x": 7, "y": 8}

    importing.edited(moved, "--apply", "--why", "Tidied up")
    assert list(Version.objects.values_list("pk", "checksum")) == before
    assert scenario.caller.latest_version.positions == {"form": {"x": 7, "y": 8}}


def test_import_keeps_executions_and_stores_user_and_reason(
    scenario: Scenario, importing: Importing
) -> None:
    user = UserFactory(username="ada")
    execution = scenario.start()

    def edit(data: dict[str, Any]) -> None:
        node_of(data, "Workflow 4", "form")["data"]["title"] = "Say more"
        titled(data, "Workflow 4")["title"] = "Renamed"

    importing.edited(edit, "--apply", "--by", "ada", "--why", "as reviewed")
    assert not importing.error
    version = scenario.caller.latest_version
    assert (version.number, version.notes, version.created_by) == (2, "as reviewed", user)
    entries = list(AuditEntry.objects.order_by("-id")[:2])
    assert {(row.face, row.who, row.refused) for row in entries} == {("command", "ada", False)}
    assert {row.action for row in entries} == {"changed", "graph_saved"}
    assert len({row.request_id for row in entries}) == 1
    submit(execution, node="form", data={"note": "n"})
    execution.refresh_from_db()
    assert execution.status == "completed" and execution.version.number == 1


def test_caller_and_callee_change_type_together(scenario: Scenario, importing: Importing) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["finding_types"].append(
            {"cuid": scenario.exception.cuid, "name": "Policy Exception", "description": ""}
        )
        for row in data["workflows"]:
            row["entity_name_type"] = {"name": "Policy Exception"}

    out = importing.edited(edit, "--apply")
    assert not importing.error
    assert "finding type “Model Limitation”" in out and "→ finding type “Policy Exception”" in out
    assert {row.entity_name_type for row in Workflow.objects.all()} == {scenario.exception}
    assert {row.latest_version.number for row in Workflow.objects.all()} == {1}


def test_missing_type_is_created_and_existing_types_stay(
    scenario: Scenario, importing: Importing
) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["finding_types"][0]["description"] = "Another"
        data["finding_types"].append({"name": "New", "cuid": "cnew"})
        data["finding_types"].append({"name": "Unused", "cuid": "cunused"})
        for row in data["workflows"]:
            row["entity_name_type"] = {"cuid": "cnew"}

    data = data_of(exported())
    edit(data)
    out = importing(data, "--apply")
    assert not importing.error
    assert "+ finding type “New” (cnew)" in out
    assert (
        "note: The finding type “Unused” is not created because no workflow of the file uses it."
        in out
    )
    assert "“Model Limitation”" in out and "The import does not change it." in out
    assert FindingType.objects.get(name="New").cuid == "cnew"
    assert not FindingType.objects.filter(name="Unused").exists()
    assert FindingType.objects.get(name="Model Limitation").description == ""
    assert "unchanged" in importing(data, "--apply")


class TestEditsThatOnlyWorkTogether:
    """Files whose edits are refused one by one but accepted together."""

    @pytest.mark.both_databases
    def test_calls_and_types_are_exchanged(self, scenario: Scenario, importing: Importing) -> None:
        # Workflow 4 calls 3 now; it is to take the other type and call only "Apart".
        apart = WorkflowFactory(title="Apart", entity_name_type=scenario.exception)
        save_line(scenario.callee, form())

        def edit(data: dict[str, Any]) -> None:
            titled(data, "Workflow 4")["entity_name_type"] = {"cuid": scenario.exception.cuid}
            node_of(data, "Workflow 4", "call")["data"]["workflow"] = {"cuid": apart.cuid}

        importing.edited(edit, "--apply")
        assert not importing.error
        scenario.caller.refresh_from_db()
        assert scenario.caller.entity_name_type == scenario.exception
        assert [row.callee for row in scenario.caller.latest_version.references.all()] == [apart]

    @pytest.mark.both_databases
    def test_caller_and_callee_are_swapped(self, scenario: Scenario, importing: Importing) -> None:
        def edit(data: dict[str, Any]) -> None:
            one, other = titled(data, "Workflow 3"), titled(data, "Workflow 4")
            one["nodes"], other["nodes"] = other["nodes"], one["nodes"]
            one["edges"], other["edges"] = other["edges"], one["edges"]
            node_of(data, "Workflow 3", "call")["data"]["workflow"] = {"title": "Workflow 4"}

        importing.edited(edit, "--apply")
        assert not importing.error
        assert [row.callee for row in scenario.callee.latest_version.references.all()] == [
            scenario.caller
        ]

    @pytest.mark.both_databases
    def test_creation_trigger_moves_to_another_workflow(
        self, scenario: Scenario, importing: Importing
    ) -> None:
        one = WorkflowFactory(trigger="created", entity_name_type=scenario.limitation)
        other = WorkflowFactory(trigger="created", entity_name_type=scenario.exception)

        def edit(data: dict[str, Any]) -> None:
            for row, kind in ((one, scenario.exception), (other, scenario.limitation)):
                titled(data, row.title)["entity_name_type"] = {"cuid": kind.cuid}

        def hand_over(data: dict[str, Any]) -> None:
            titled(data, one.title)["state"] = "retired"
            titled(data, "Workflow 3").update(
                trigger="created", entity_name_type={"cuid": scenario.exception.cuid}
            )
            titled(data, "Workflow 4").update(entity_name_type={"cuid": scenario.exception.cuid})

        for edited in (edit, hand_over):
            importing.edited(edited, "--apply")
            assert not importing.error
        one.refresh_from_db()
        assert (one.entity_name_type, one.state) == (scenario.exception, "retired")

    def test_callers_and_callees_retire_and_return_together(
        self, scenario: Scenario, importing: Importing
    ) -> None:
        def give(state: str, data: dict[str, Any]) -> None:
            for row in data["workflows"]:
                row["state"] = state

        for state in ("retired", "active"):
            importing.edited(partial(give, state), "--apply")
            assert not importing.error
            assert set(Workflow.objects.values_list("state", flat=True)) == {state}


def test_missing_secrets_are_noted(scenario: Scenario, importing: Importing) -> None:
    def edit(data: dict[str, Any]) -> None:
        titled(data, "Workflow 3").update(trigger="webhook", trigger_data={"secret": "crm"})
        data["workflows"][0]["nodes"].insert(
            1,
            {
                "id": "tell",
                "type": "http_request",
                "data": {
                    "url": "https://example.com",
                    "headers": {"Authorization": "Bearer {{ secret:crm }}{{secret:other}}"},
                },
            },
        )
        data["workflows"][0]["edges"] = [
            {"source": "start", "target": "tell"},
            {"source": "tell", "target": "end"},
        ]

    Secret.objects.create(name="other", encrypted="")
    for arguments in ([], ["--apply"]):
        importing.edited(edit, *arguments)
        assert "There is no secret named “crm”." in str(importing.error)
    result = importing.edited(edit, "--allow-unknown").splitlines()
    notes = [row for row in result if row.startswith("note")]
    assert not importing.error
    assert notes == [
        "note: The secret “crm” does not exist here, and files contain no secrets. It is used by "
        f"“Workflow 3” ({scenario.callee.cuid})."
    ]
    Secret.objects.create(name="crm", encrypted="")
    importing.edited(edit, "--apply")
    assert "note:" not in importing.edited(edit)
    scenario.callee.refresh_from_db()
    assert scenario.callee.trigger_data == {"secret": "crm"}
    assert "secret: crm" in exported() and "encrypted" not in exported()


def test_long_output_is_truncated_with_a_count(
    scenario: Scenario, importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_workflows, "LISTED", 4)
    data = data_of(exported())
    data["workflows"] = [
        {**titled(data, "Workflow 3"), "cuid": f"c{n}", "title": f"Number {n}"} for n in range(7)
    ]
    out = importing(data)
    assert out.count("+ workflow") == 4 and "… and 3 more lines (--all lists them)." in out
    assert importing(data, "--all").count("+ workflow") == 7
