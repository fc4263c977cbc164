"""The diagram of an execution's path, and its history."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from django.utils import timezone

from executions import services as running
from executions.admin.path_diagram import duration_text
from executions.models import Execution, Step
from tests.conftest import Scenario
from tests.executions.engine.test_branches import source, started
from tests.factories import form
from tests.workflows.admin.staff import page, statements, text

pytestmark = pytest.mark.django_db

MOST = 25
"""The maximum number of queries of a page."""


def html(client: Client, execution: Execution) -> tuple[str, list[str], list[str]]:
    """Return the page, the titles in its diagram and the edges on the path."""
    whole = text(client.get(page(execution)))
    found = re.search(r"<svg [^>]*graph-title.*?</svg>", whole, re.DOTALL)
    assert found is not None
    root = ElementTree.fromstring(found.group())
    titles = [row.text or "" for row in root.iter() if row.tag.endswith("title")]
    taken = [
        row[0].text or "" for row in root.iter() if "taken" in (row.get("class") or "").split()
    ]
    return whole, titles, taken


def severe(**fields: Any) -> Execution:
    rule = {"field": "severity", "op": "gte", "value": 3}
    ask = form("ask", {"name": "note", "type": "text", "required": True})
    nodes: dict[str, Any] = {
        "start": "start",
        "way": {"type": "condition", "data": {"branches": [{"handle": "bad", "rule": rule}]}},
        "ask": {key: ask[key] for key in ("type", "data")},
        "end": "end",
        "no": "fail",
    }
    edges = ("start>way", "way.bad>ask", "way.default>no", "ask>end")
    return started(source(nodes, *edges), **fields)


def test_diagram_marks_path_and_current_step(admin_client: Client) -> None:
    execution = severe(severity=4)
    whole, titles, taken = html(admin_client, execution)
    assert "way, Condition. Done" in titles
    assert "ask, User action. Current step" in titles
    assert "no, Fail" in titles and "end, End" in titles
    assert sorted(taken) == ["start → way (taken)", "way → (bad) ask (taken)"]
    step = execution.steps.open().get()
    assert f'href="#step-{step.cuid}"' in whole and f'id="step-{step.cuid}"' in whole


def test_diagram_marks_failed_step(admin_client: Client) -> None:
    _, titles, taken = html(admin_client, severe(severity=1))
    assert "no, Fail. Failed" in titles
    assert "way → (default) no (taken)" in taken


def test_diagram_marks_incident(admin_client: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "x"})
    for child in Execution.objects.filter(parent=execution).live():
        running.cancel(child)
    _, titles, _ = html(admin_client, execution)
    assert any(title.endswith((". Failed", ". Done")) for title in titles)


def test_history_shows_user_time_duration_and_output(admin_client: Client) -> None:
    execution = severe(severity=4)
    running.submit(execution, node="ask", data={"note": "A note"}, by=None)
    step = execution.steps.get(node_id="ask")
    Step.objects.filter(pk=step.pk).update(closed_at=step.opened_at + timedelta(hours=2, minutes=5))
    whole, _, _ = html(admin_client, execution)
    assert f'id="visit-{step.cuid}"' in whole
    assert "(2 h 5 min)" in whole
    assert "A note" in whole


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "less than 1 s"),
        (1, "1 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (7_320, "2 h 2 min"),
        (86_400, "1 d"),
        (90_000, "1 d 1 h"),
    ],
)
def test_duration_has_two_units(seconds: float, expected: str) -> None:
    now = timezone.now()
    step = Step(opened_at=now, closed_at=now + timedelta(seconds=seconds))
    assert duration_text(step) == expected
    assert duration_text(Step(opened_at=now)) == ""


def test_execution_page_query_count_is_bounded(admin_client: Client, scenario: Scenario) -> None:
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "x"})
    assert statements(lambda: admin_client.get(page(execution))) <= MOST
