"""The page that edits a graph as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, WorkflowFactory, call, form, line
from tests.workflows.admin.forms import form_of
from tests.workflows.admin.staff import list_messages, page, text
from workflows import editing
from workflows.graph import node_types
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def save(client: Client, workflow: Workflow, source: Any, based_on: int = 1, **more: str) -> Any:
    sent = source if isinstance(source, str) else json.dumps(source)
    return client.post(
        page(workflow, "graph"), {"source": sent, "based_on": based_on, "notes": "", **more}
    )


def test_json_page_shows_source_and_callable_workflows(
    admin_client: Client, scenario: Scenario
) -> None:
    other = WorkflowFactory(title="Of another type")
    retired = WorkflowFactory(title="Gone", entity_name_type=scenario.limitation, state="retired")
    response = admin_client.get(page(scenario.caller, "graph"))
    source = json.loads(response.context["form"].initial["source"])
    assert source == scenario.caller.latest_version.source
    assert scenario.callee.cuid in text(response)
    assert other.cuid not in text(response)
    assert retired.cuid not in text(response)


def test_unused_version_is_replaced(admin_client: Client) -> None:
    workflow = WorkflowFactory()
    response = save(admin_client, workflow, line(form()), notes="Asks first")
    assert response.status_code == 302
    assert list_messages(response)[0].startswith(
        "Version 1 was replaced. No execution has used it."
    )
    version = workflow.versions.get()
    assert (version.notes, version.created_by.username) == ("Asks first", "admin")
    assert version.source == line(form())


def test_used_version_gets_successor(admin_client: Client, scenario: Scenario) -> None:
    scenario.start()
    response = save(admin_client, scenario.caller, line(form()))
    assert list_messages(response)[0].startswith("Version 2 was saved.")
    assert scenario.caller.versions.count() == 2


def test_problems_are_listed_with_pointers(admin_client: Client, scenario: Scenario) -> None:
    foreign = WorkflowFactory(entity_name_type=FindingTypeFactory())
    source = line(call(foreign, "one"), {"id": "two", "type": "run_workflow", "data": {}})
    response = save(admin_client, scenario.caller, source, notes="My notes")
    assert response.status_code == 200
    html = text(response)
    assert "Not saved: 1 problem" in html
    assert "<code>/nodes/2/data/workflow</code>" in html
    assert "/nodes/2/data/workflow" in html
    assert "My notes" in html
    response = save(
        admin_client, scenario.caller, line(call(foreign, "one"), call(scenario.caller))
    )
    html = text(response)
    assert "<code>/nodes/1/data/workflow</code>" in html
    assert "Run Workflow: Incompatible entity name types." in html
    assert "<code>/nodes/2/data/workflow</code>" in html
    assert "The workflow would call itself" in html
    assert response.context["form"]["source"].value() == json.dumps(
        line(call(foreign, "one"), call(scenario.caller))
    )


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ('{\n  "nodes": [,]\n}', "This is not valid JSON (line 2, column 13): Expecting value."),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5_000, "This is not valid JSON"),
        ("", "This field is required."),
        ("NaN", "NaN is not a JSON number"),
        ('{"nodes": [], "nodes": []}', "is given twice in one object"),
    ],
)
def test_malformed_json_is_reported_with_position(
    admin_client: Client, typed: str, answer: str
) -> None:
    workflow = WorkflowFactory()
    response = save(admin_client, workflow, typed)
    assert response.status_code == 200
    assert answer in text(response)
    assert response.context["form"]["source"].value() == typed


@pytest.mark.parametrize("typed", ["null", "[]", '"text"', '{"nodes": []}'])
def test_json_without_graph_is_refused(admin_client: Client, typed: str) -> None:
    response = save(admin_client, WorkflowFactory(), typed)
    assert response.status_code == 200
    assert "Not saved:" in text(response)


def test_stale_save_keeps_text_and_offers_choices(admin_client: Client, scenario: Scenario) -> None:
    scenario.start()
    editing.save_graph(scenario.caller, line(form("other")), based_on=1)
    mine = line(form("mine"))
    response = save(admin_client, scenario.caller, mine)
    html = text(response)
    assert "The graph is based on" in html
    assert page(scenario.caller.latest_version) in html
    assert "Discard my text and load version 2" in html
    assert response.context["form"]["source"].value() == json.dumps(mine)
    assert scenario.caller.versions.count() == 2
    # The button submits the number after the hidden input, and the last value counts.
    save(admin_client, scenario.caller, mine, based_on=2)
    assert scenario.caller.latest_version.source == mine


def test_json_page_of_missing_workflow_answers_404(admin_client: Client) -> None:
    workflow = WorkflowFactory()
    missing = page(workflow, "graph")
    workflow.delete()
    assert admin_client.get(missing).status_code == 404


@pytest.mark.parametrize("based_on", ["", "x", "0", "99999999999999999999"])
def test_invalid_base_version_is_form_error(admin_client: Client, based_on: str) -> None:
    workflow = WorkflowFactory()
    sent = {"source": json.dumps(line()), "based_on": based_on}
    response = admin_client.post(page(workflow, "graph"), sent)
    assert response.status_code == 200
    assert workflow.versions.get().number == 1


def test_json_page_documents_node_types(admin_client: Client, scenario: Scenario) -> None:
    html = text(admin_client.get(page(scenario.caller, "graph")))
    for name, node_type in node_types().items():
        assert f'<details class="node-type" id="node-type-{name}">' in html
        assert escape(str(node_type.description)) in html
    assert "<code>branches[].rule</code> an object, <strong>required</strong>" in html
    assert "<code>deadline</code> text, a number or an object" in html
    assert "<code>deadline.notify.to</code> a list, <strong>required</strong>" in html
    assert "Exits: <code>approved</code>, <code>rejected</code>." in html


def test_replaced_version_makes_save_stale(admin_client: Client, scenario: Scenario) -> None:
    workflow = scenario.callee
    sent = form_of(admin_client.get(page(workflow, "graph")), having="read")
    mine, theirs = line(form("mine")), line(form("theirs"))
    editing.save_graph(workflow, theirs, based_on=workflow.latest_version.number)
    assert workflow.latest_version.number == int(sent["based_on"])
    answer = admin_client.post(page(workflow, "graph"), {**sent, "source": json.dumps(mine)})
    assert "has been saved again since you opened it" in text(answer)
    assert workflow.latest_version.source == theirs
    again = form_of(answer, having="read")
    assert json.loads(again["source"]) == mine
    assert admin_client.post(page(workflow, "graph"), again).status_code == 302
    assert workflow.latest_version.source == mine
