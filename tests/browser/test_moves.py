"""Moving executions to a corrected graph in the browser, with the number of clicks it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from executions import services
from executions.demo import CALLEE
from executions.models import Execution
from tests.browser.test_tasks import to_workflows
from tests.factories import FindingFactory, form, save_line, user_in

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


@pytest.fixture
def twenty(played: Any) -> list[Execution]:
    """Return executions that wait at a form, which is the wrong one."""
    save_line(played.callee, form("assess", label="Assess"))
    kind = played.callee.entity_name_type
    entities = FindingFactory.create_batch(20, entity_name_type=kind)
    return [services.start(played.callee, entity) for entity in entities]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no_scripts"])
def test_correct_a_graph_and_move_twenty_executions_in_10_clicks(
    twenty: list[Execution], walking: Callable[..., Any], scripts: bool
) -> None:
    administrator = user_in("administrator", username="ada", is_staff=True)
    operator = walking(administrator, java_script_enabled=scripts)
    page = operator.page
    nodes = page.get_by_role("group", name=f"Graph of {CALLEE}")
    # Another form takes the place of the wrong one.
    to_workflows(operator, CALLEE)
    operator.click("link", "Edit graph")
    operator.click("link", "Assess, User action", within=nodes)
    operator.click("button", "Delete node")
    operator.write("Node label", "Review")
    operator.click("button", "User action")
    operator.click("button", "Save")
    assert operator.sees("20 live executions run version")
    operator.click("link", "Move to another version…")
    assert operator.sees("Select the node at which “Assess” continues.")
    operator.click("link", "Review, User action. Let “Assess” continue here")
    operator.write("Reason:", "The wrong form was asked for.")
    operator.click("button", "Move (20)")
    assert operator.sees("20 of 20")
    labels = {step.label for row in twenty for step in row.steps.open()}
    assert labels == {"Review"}
