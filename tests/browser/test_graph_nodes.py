"""Nodes of the graph editor under the mouse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.accessibility import find_faults
from tests.workflows.admin.staff import page as address
from tests.workflows.graphs import line, node
from workflows import editing

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


def drag(page: Any, start: Any, right: float, down: float) -> None:
    """Drag from the middle of an element."""
    box = start.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right / 2, y + down / 2)
    page.mouse.move(x + right, y + down)
    page.mouse.up()
    page.locator(".editor:not([inert])").wait_for()


def distance(one: Any, other: Any) -> tuple[float, float]:
    """Return the way from an element to another one on the screen."""
    first, second = one.bounding_box(), other.bounding_box()
    return second["x"] - first["x"], second["y"] - first["y"]


def test_dragged_node_stays_where_it_is_dropped(operator: Any, played: Any) -> None:
    page = operator.page
    page.goto(f"{address(played.caller, 'edit')}?node=review")
    page.locator("[name='data/label']").fill("Typed")
    node, end = page.locator("[data-node=limitation]"), page.locator("[data-node=end]")
    place = distance(node, end)
    drag(page, node, 120, 30)
    assert operator.sees("Undo: move “Assess”")
    # What was typed in the panel of another node is applied, and the other nodes stay.
    assert "Typed" in page.locator("#node h2").first.inner_text()
    assert distance(node, end) == pytest.approx((place[0] - 120, place[1] - 30), abs=2)
    page.get_by_role("button", name="Undo: move “Assess”").click()
    page.get_by_role("button", name="Redo: move “Assess”").wait_for()
    page.get_by_role("button", name="Redo: move “Assess”").click()
    page.get_by_role("button", name="Save", exact=True).click()
    assert operator.sees("Version 1 was replaced.")
    position = played.caller.latest_version.positions
    assert position["limitation"]["x"] - position["end"]["x"] == 120


def test_selected_nodes_are_moved_copied_and_deleted_together(operator: Any, played: Any) -> None:
    page, source = operator.page, played.caller.latest_version.source
    number = 32 - len(source["nodes"])
    states = [node(f"s{at}", "set_state", state="S") for at in range(number)]
    editing.save_graph(played.caller, line(*states, *source["nodes"][1:-1]), based_on=1)
    page.goto(f"{address(played.caller, 'edit')}?node=s0")
    node_of = page.locator(".editor-picture .node")
    chosen = page.locator(".node.chosen")
    node_of.nth(2).locator("a").first.click(modifiers=["Shift"])
    assert operator.sees("2 nodes selected")
    third = page.locator("[data-node=s2]").bounding_box()
    page.keyboard.down("Shift")
    page.mouse.move(third["x"] - 20, third["y"] + 5)
    page.mouse.down()
    page.mouse.move(third["x"] + 20, third["y"] + 20, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert operator.sees("3 nodes selected")
    drag(page, page.locator("[data-node=s1]"), 60, 0)
    assert operator.sees("Undo: move 3 nodes")
    assert chosen.count() == 3
    page.locator("#diagram-selected a").focus()
    page.keyboard.press("Control+c")
    assert operator.sees("3 nodes were copied.")
    page.locator("#diagram-selected a").focus()
    page.keyboard.press("Control+v")
    assert operator.sees("Undo: paste 3 nodes")
    assert chosen.count() == 3
    page.locator("#diagram-selected a").focus()
    page.keyboard.press("Delete")
    assert operator.sees("Undo: delete 3 nodes")
    assert chosen.count() == 0
    place = page.locator(".minimap svg").bounding_box()
    frame = page.locator(".editor-picture .graph")
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] - 4)
    assert frame.evaluate("frame => frame.scrollTop") > 1000
    assert not list(find_faults(operator))
