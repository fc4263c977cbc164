"""Building graphs in the editor, with the number of actions and page loads that it takes."""

from __future__ import annotations

from typing import Any

import pytest

from executions.demo import CALLEE
from tests.browser.accessibility import find_faults
from tests.workflows.admin.staff import page as address
from workflows.graph import parse
from workflows.models import Workflow

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


class Builder:
    """A user who builds a graph. Each click, selection and text that is typed is an action."""

    def __init__(self, operator: Any) -> None:
        self.operator, self.page, self.loads, self.texts = operator, operator.page, 0, 0
        self.nodes = operator.page.locator(".editor-picture")
        operator.page.on("load", self._loaded)

    def _loaded(self, _page: Any) -> None:
        self.loads += 1

    @property
    def actions(self) -> int:
        clicks: int = self.operator.clicks
        return clicks + self.texts

    def write(self, label: str, text: str) -> None:
        self.texts += 1
        self.operator.write(label, text)

    def fill(self, name: str, text: str) -> None:
        self.texts += 1
        self.page.locator(f"[name='{name}']").fill(text)

    def select(self, name: str, label: str) -> None:
        self.operator.clicks += 2
        self.page.locator(f"[name='{name}']").select_option(label=label)

    def press(self, name: str) -> None:
        self.operator.click("button", name)
        self.settle()

    def follow(self, name: str) -> None:
        self.operator.click("link", name, within=self.nodes)
        self.settle()

    def add(self, node_type: str, label: str = "") -> None:
        if label:
            self.write("Node label", label)
        self.press(node_type)

    def drag(self, exit_: str, node: str) -> None:
        """Drag an exit to a node, which counts as one click."""
        self.operator.clicks += 1
        link = self.nodes.get_by_role("link", name=exit_, exact=True)
        link.scroll_into_view_if_needed()
        link.hover()
        self.page.mouse.down()
        target = self.nodes.get_by_role("link", name=node).first.bounding_box()
        x, y = target["x"] + target["width"] / 2, target["y"] + target["height"] / 2
        self.page.mouse.move(x - 10, y, steps=3)
        self.page.mouse.move(x, y)
        self.page.mouse.up()
        self.settle()

    def settle(self) -> None:
        """Wait until the editor has run the step."""
        self.page.locator(".editor:not([inert])").wait_for()


def test_problems_follow_what_is_typed_and_keys_run_steps(operator: Any, played: Any) -> None:
    builder, page = Builder(operator), operator.page
    page.goto(f"{address(played.caller, 'edit')}?node=start")
    selected = page.locator("#diagram-selected a")
    builder.add("Set state", "Mark")
    assert operator.sees("Fix 1 problem before you save")
    page.locator("[name='data/state']").fill("Done")
    page.locator("#problems").wait_for(state="detached")
    # Only a check: the settings are not applied yet.
    assert page.get_by_text("Undo: add “Mark”").count() == 1
    selected.click()
    builder.settle()
    page.keyboard.press("d")
    assert operator.sees("Undo: duplicate “Mark”")
    builder.settle()
    page.keyboard.press("Delete")
    assert operator.sees("Undo: delete “Mark (copy)”")
    builder.settle()
    page.keyboard.press("Control+z")
    assert operator.sees("Redo: delete “Mark (copy)”")
    width = page.locator(".editor-picture svg").get_attribute("width")
    builder.press("Zoom in")
    assert float(page.locator(".editor-picture svg").get_attribute("width")) > float(width)
    page.set_viewport_size({"width": 1280, "height": 400})
    builder.press("Fit")
    width = page.locator(".editor-picture svg").get_attribute("width")
    page.set_viewport_size({"width": 1280, "height": 900})
    builder.press("Fit")
    assert float(page.locator(".editor-picture svg").get_attribute("width")) > float(width)
    page.keyboard.press("Alt+f")
    page.keyboard.type("copy")
    page.keyboard.press("Enter")
    builder.settle()
    assert "Mark (copy)" in page.locator("#node h2").first.inner_text()


def test_build_ten_nodes_with_fork_join_rules_and_call_in_27_clicks(
    operator: Any, played: Any
) -> None:
    builder = Builder(operator)
    operator.click("link", "Add", within=operator.page.locator(".model-workflow"))
    builder.write("Title:", "Triage")
    operator.choose("Finding type:", "Model Limitation")
    operator.click("button", "Save and continue editing")
    operator.click("link", "Edit graph")
    builder.follow("Start, Start")
    builder.add("Parallel", "Check")
    builder.add("User action", "Check the data")
    builder.add("Join", "All checked")
    builder.follow("Check the data, User action")
    builder.press("Duplicate node")
    builder.fill("data/label", "Check the model")
    builder.follow("Insert a node between All checked and End")
    builder.add("Condition", "Severe?")
    builder.fill("data/branches/0/handle", "severe")
    builder.fill("data/branches/0/rule/0/field", "severity")
    builder.select("data/branches/0/rule/0/op", "is at least")
    builder.fill("data/branches/0/rule/0/value", "3")
    builder.press("Apply")
    builder.follow("Add a node after Severe?, exit severe")
    builder.add("Approval", "Agree")
    builder.fill("data/users/0", "ada")
    builder.follow("Add a node after Agree, exit approved")
    builder.add("Wait", "Cooling-off")
    builder.fill("data/interval", "3")
    builder.add("Run workflow", "Remedy")
    builder.select("data/workflow", CALLEE)
    builder.press("Fit")
    builder.drag("Add a node after Remedy", "End, End")
    builder.drag("Add a node after Agree, exit rejected", "End, End")
    builder.press("Save")
    assert operator.sees("Version 1 was replaced.")
    graph = parse(Workflow.objects.get(title="Triage").latest_version.source)
    assert len(graph.nodes) == 10
    assert builder.loads == 3
    assert builder.actions == 41
    assert not list(find_faults(operator))


def test_rows_are_edited_in_place_and_restored_after_a_reload(operator: Any, played: Any) -> None:
    builder, page = Builder(operator), operator.page
    page.goto(f"{address(played.caller, 'edit')}?node=start")
    builder.add("Condition", "Severe?")
    loads = builder.loads
    page.locator("[name='data/branches/0/handle']").fill("high")
    operator.click("button", "Add branch")
    # The focus is in the new row.
    page.keyboard.type("low")
    page.locator("[value='add data/branches/1/rule']").click()
    page.keyboard.type("severity")
    page.locator("[value='up data/branches/1']").click()
    page.locator("[value='remove data/branches/0']").click()
    assert not list(find_faults(operator))
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    assert builder.loads == loads + 1
    assert page.locator("[name='data/branches/1/rule/1/field']").input_value() == "severity"
    assert not page.locator("[name='data/branches/0/handle']").is_visible()
    builder.press("Apply")
    assert operator.sees("low")
    assert page.locator(".editor-edges .badge").all_inner_texts() == ["low", "default"]
