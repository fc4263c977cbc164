"""Graph editing, with the number of clicks that it takes."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from executions.demo import CALLEE
from tests.browser.accessibility import find_faults
from tests.workflows.admin.staff import page as address
from workflows import editing
from workflows.graph import node_types, parse
from workflows.graph.edit_steps import add_node_after, set_node_data
from workflows.models import GraphDraft, Workflow

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


def test_build_five_nodes_with_a_call_in_26_clicks(operator: Any, played: Any) -> None:
    page = operator.page
    nodes = page.get_by_role("group", name="Graph of Triage")

    def add(node_type: str, label: str) -> None:
        operator.write("Node label", label)
        operator.click("button", node_type)

    operator.click("link", "Add", within=page.locator(".model-workflow"))
    operator.write("Title:", "Triage")
    operator.choose("Finding type:", "Model Limitation")
    operator.click("button", "Save and continue editing")
    operator.click("link", "Edit graph")
    operator.click("link", "Start, Start", within=nodes)
    add("User action", "Look at it")
    operator.click("button", "Add form field")
    page.locator("[name='data/fields/0/name']").fill("severity")
    operator.click("button", "Apply")
    page.locator(".data-rows summary", has_text="severity").first.wait_for()
    add("Condition", "Severe?")
    page.locator("[name='data/branches/0/handle']").fill("minor")
    page.locator("[name='data/branches/0/rule/0/field']").fill("severity")
    operator.clicks += 2
    page.locator("[name='data/branches/0/rule/0/op']").select_option(label="is less than")
    page.locator("[name='data/branches/0/rule/0/value']").fill("3")
    operator.click("button", "Apply")
    assert operator.sees("not connected")
    operator.choose("Position", "default: before End")
    add("Run workflow", "Remedy")
    operator.clicks += 2
    page.locator("[name='data/workflow']").select_option(label=CALLEE)
    operator.click("button", "Apply")
    add("Set state", "Done")
    page.locator("[name='data/state']").fill("Remedied")
    operator.click("button", "Apply")
    assert operator.sees("Fix 1 problem before you save")
    operator.click("link", "Severe?", within=page.locator("#problems"))
    operator.choose("Next step", "End (End)")
    operator.click("button", "Connect")
    operator.write("Version notes", "New workflow")
    operator.click("button", "Save")
    assert operator.sees("Version 1 was replaced.")
    graph = parse(Workflow.objects.get(title="Triage").latest_version.source)
    assert len(graph.nodes) == 6
    assert graph.callee_cuids() == [played.callee.cuid]
    assert not GraphDraft.objects.exists()


def test_settings_are_applied_when_another_node_is_selected(operator: Any, played: Any) -> None:
    operator.page.goto(f"{address(played.caller, 'edit')}?node=start")
    operator.write("Label", "Typed")
    operator.page.get_by_text("All nodes").click()
    operator.click("link", "End", within=operator.page.locator(".editor-nodes"))
    assert operator.sees("change the settings of “Typed”")
    assert operator.page.get_by_label("Label", exact=True).input_value() != "Typed"


@pytest.mark.parametrize("group", range(2))
def test_node_type_forms_are_accessible(operator: Any, played: Any, group: int) -> None:
    """Check the form of each type filled in, and one with problems; they look alike in all."""
    workflow, user = played.caller, get_user_model().objects.get(username="ada")
    page = operator.page
    forms: list[tuple[str, dict[str, Any]]] = [("condition", {})]
    for kind in sorted(set(node_types()) - {"start"}):
        examples = node_types()[kind].data_schema.text.get("examples", ())
        forms.append((kind, examples[0] if examples else {}))
    found = {}
    for kind, data in forms[group::2]:

        def draw(
            source: dict[str, Any], kind: str = kind, data: dict[str, Any] = data
        ) -> tuple[dict[str, Any], str]:
            changed, new = add_node_after(source, "start", kind, before=_after_start(source))
            return set_node_data(changed, new, data), new

        token = editing.open_draft(workflow, user).token
        editing.edit_draft(workflow, user, token, draw)
        draft = editing.open_draft(workflow, user)
        page.goto(f"{address(workflow, 'edit')}?node={draft.undo}")
        # Other tests check the other parts of the page.
        if wrong := list(find_faults(operator, "#node")):
            found[f"{kind} {data}"] = wrong
        editing.undo(workflow, user, draft.token)
    assert not found


def _after_start(source: dict[str, Any]) -> str:
    return next(str(row["target"]) for row in source["edges"] if row["source"] == "start")
