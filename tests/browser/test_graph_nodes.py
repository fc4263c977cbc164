"""Nodes of the graph editor under the mouse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflows.admin.staff import page as address

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
