"""The page where a graph is edited."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, WorkflowFactory, call, form, line
from tests.workflows.admin.forms import form_of
from tests.workflows.admin.staff import page, text, told
from workflows import editing
from workflows.graph import node_types
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def save(client: Client, workflow: Workflow, source: Any, based_on: int = 1, **more: str) -> Any:
    sent = source if isinstance(source, str) else json.dumps(source)
    return client.post(
        page(workflow, "graph"), {"source": sent, "based_on": based_on, "notes": "", **more}
    )


def test_it_shows_the_latest_source_and_what_can_be_called(
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


def test_a_version_that_nothing_has_is_rewritten(admin_client: Client) -> None:
    workflow = WorkflowFactory()
    response = save(admin_client, workflow, line(form()), notes="Asks first")
    assert response.status_code == 302
    assert told(response)[0].startswith("Version 1 was rewritten: nothing has run on it.")
    version = workflow.versions.get()
    assert (version.notes, version.created_by.username) == ("Asks first", "admin")
    assert version.source == line(form())


def test_a_version_that_runs_is_followed_by_another(
    admin_client: Client, scenario: Scenario
) -> None:
    scenario.start()
    response = save(admin_client, scenario.caller, line(form()))
    assert told(response)[0].startswith("Version 2 was added")
    assert scenario.caller.versions.count() == 2


def test_problems_stand_beside_the_text_with_their_pointers(
    admin_client: Client, scenario: Scenario
) -> None:
    foreign = WorkflowFactory(entity_name_type=FindingTypeFactory())
    source = line(call(foreign, "one"), {"id": "two", "type": "run_workflow", "data": {}})
    response = save(admin_client, scenario.caller, source, notes="My notes")
    assert response.status_code == 200
    shown = text(response)
    assert "Not saved: 1 problem" in shown
    assert "<code>/nodes/2/data/workflow</code>" in shown
    assert "It needs &#x27;workflow&#x27;: the cuid of the workflow to run" in shown
    assert "My notes" in shown
    response = save(
        admin_client, scenario.caller, line(call(foreign, "one"), call(scenario.caller))
    )
    shown = text(response)
    assert "<code>/nodes/1/data/workflow</code>" in shown
    assert "Run Workflow: Incompatible entity name types." in shown
    assert "<code>/nodes/2/data/workflow</code>" in shown
    assert "The workflow would call itself" in shown
    assert response.context["form"]["source"].value() == json.dumps(
        line(call(foreign, "one"), call(scenario.caller))
    )


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ('{\n  "nodes": [,]\n}', "This is not JSON: line 2, column 13: Expecting value."),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5_000, "This is not JSON"),
        ("", "This field is required."),
        ("NaN", "NaN is not a JSON number"),
        ('{"nodes": [], "nodes": []}', "is given twice in one object"),
    ],
)
def test_what_is_no_json_is_named_by_line_and_column(
    admin_client: Client, typed: str, answer: str
) -> None:
    workflow = WorkflowFactory()
    response = save(admin_client, workflow, typed)
    assert response.status_code == 200
    assert answer in text(response)
    assert response.context["form"]["source"].value() == typed


@pytest.mark.parametrize("typed", ["null", "[]", '"text"', '{"nodes": []}'])
def test_json_that_is_no_graph_is_refused_by_the_service(admin_client: Client, typed: str) -> None:
    response = save(admin_client, WorkflowFactory(), typed)
    assert response.status_code == 200
    assert "Not saved:" in text(response)


def test_a_stale_base_keeps_the_text_and_offers_both_ways(
    admin_client: Client, scenario: Scenario
) -> None:
    scenario.start()
    editing.save_graph(scenario.caller, line(form("other")), based_on=1)
    mine = line(form("mine"))
    response = save(admin_client, scenario.caller, mine)
    shown = text(response)
    assert "The graph is based on version 1, but the latest is 2" in shown
    assert page(scenario.caller.latest_version) in shown
    assert "reload this page" in shown
    assert response.context["form"]["source"].value() == json.dumps(mine)
    assert scenario.caller.versions.count() == 2
    # The button sends the number after the hidden field, and the last one counts.
    save(admin_client, scenario.caller, mine, based_on=2)
    assert scenario.caller.latest_version.source == mine


def test_a_workflow_that_is_not_there(admin_client: Client) -> None:
    workflow = WorkflowFactory()
    gone = page(workflow, "graph")
    workflow.delete()
    assert admin_client.get(gone).status_code == 404


@pytest.mark.parametrize("based_on", ["", "x", "0", "99999999999999999999"])
def test_a_base_that_is_no_number_of_a_version(admin_client: Client, based_on: str) -> None:
    workflow = WorkflowFactory()
    sent = {"source": json.dumps(line()), "based_on": based_on}
    response = admin_client.post(page(workflow, "graph"), sent)
    assert response.status_code == 200
    assert workflow.versions.get().number == 1


def test_it_tells_of_every_node_type_what_it_does_and_takes(
    admin_client: Client, scenario: Scenario
) -> None:
    shown = text(admin_client.get(page(scenario.caller, "graph")))
    for name, node_type in node_types().items():
        assert f'<details class="node-type" id="node-type-{name}">' in shown
        assert escape(str(node_type.description)) in shown
    assert "<code>branches[].rule</code> an object, <strong>required</strong>" in shown
    assert "<code>deadline</code> text, a number or an object" in shown
    assert "<code>deadline.notify.to</code> a list, <strong>required</strong>" in shown
    assert "Its exits: <code>approved</code>, <code>rejected</code>." in shown


def test_version_saved_anew_under_its_number_is_stale_until_it_was_seen(
    admin_client: Client, scenario: Scenario
) -> None:
    workflow = scenario.callee
    sent = form_of(admin_client.get(page(workflow, "graph")), having="read")
    mine, theirs = line(form("mine")), line(form("theirs"))
    editing.save_graph(workflow, theirs, based_on=workflow.latest_version.number)
    assert workflow.latest_version.number == int(sent["based_on"])
    answer = admin_client.post(page(workflow, "graph"), {**sent, "source": json.dumps(mine)})
    assert "was saved anew since this drawing began" in text(answer)
    assert workflow.latest_version.source == theirs
    again = form_of(answer, having="read")
    assert json.loads(again["source"]) == mine
    assert admin_client.post(page(workflow, "graph"), again).status_code == 302
    assert workflow.latest_version.source == mine
