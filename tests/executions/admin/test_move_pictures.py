"""The graphs on the page of a move: their counts, and the links that set the mapping."""

from __future__ import annotations

import html as markup
import re
from typing import Any

import pytest
from django.test import Client

from executions import services
from executions.models import Execution
from tests.executions.admin.test_moves import address
from tests.executions.engine.test_branches import open_nodes, source, started
from tests.executions.moves import correct, save, start_at
from tests.factories import WorkflowFactory, call, form, line, save_line
from tests.workflows.admin.staff import text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


class Page:
    """The page of a move, followed by its links without scripts."""

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.open(url)

    def open(self, url: str) -> None:
        self.html = text(self.client.get(url.partition("#")[0]))

    def links(self, name: str) -> dict[str, str]:
        """Return the addresses of the links in the picture with this title, by their names."""
        (picture,) = re.findall(rf'aria-label="[^"]*{name}.*?</svg>', self.html)
        found = re.findall(r'<a href="([^"]*)" aria-label="([^"]*)"', picture)
        return {markup.unescape(label): markup.unescape(url) for url, label in found}

    def select(self, name: str, label: str) -> None:
        (url,) = (url for key, url in self.links(name).items() if key.startswith(label))
        self.open(url)

    def move(self, url: str) -> None:
        """Send the form of the page as a browser does."""
        sent = {"why": "Wrong graph", "_move": "1"}
        sent |= dict(re.findall(r'<input type="hidden" name="(token)" value="(\w+)"', self.html))
        for name, options in re.findall(r'<select name="([^"]*)".*?>(.*?)</select>', self.html):
            chosen = re.search(r'value="([^"]*)" selected', options)
            sent[markup.unescape(name)] = markup.unescape(chosen[1]) if chosen else ""
        answer = self.client.post(url, sent)
        assert answer.status_code == 302, text(answer)


BEFORE, AFTER = "Now: version", "After the move: version"


def test_step_without_target_is_selected_and_its_new_node_is_one_link_away(
    operator: Client,
) -> None:
    execution = start_at(form("old", label="Assess"))
    correct(execution, form("new", label="Review"))
    page = Page(operator, address(execution))
    assert "Select the node at which “Assess” continues." in page.html
    assert list(page.links(BEFORE)) == ["Assess, User action. The new version has no node “old”."]
    assert list(page.links(AFTER)) == [
        "Review, User action. Let “Assess” continue here",
        "end, End. Close “Assess” and begin here",
    ]
    page.select(AFTER, "Review")
    assert "The new version has no node" not in page.html
    page.move(address(execution))
    assert open_nodes(execution) == {"new"}


def test_node_of_another_type_begins_again(operator: Client) -> None:
    execution = start_at(form("old"))
    correct(execution, {"id": "nap", "type": "wait", "data": {"interval": "P1D"}})
    page = Page(operator, address(execution))
    page.select(AFTER, "nap")
    page.move(address(execution))
    assert open_nodes(execution) == {"nap"}
    assert not execution.steps.filter(node_id="old").open().exists()


def test_selected_target_can_be_changed_back(operator: Client) -> None:
    execution = start_at(form())
    correct(execution, form(), form("second"))
    page = Page(operator, address(execution))
    assert page.links(AFTER) == {}, "nothing has to be chosen"
    page.select(BEFORE, "form")
    page.select(AFTER, "second")
    assert 'value="second" selected' in page.html
    page.select(BEFORE, "form")
    page.select(AFTER, "form")
    assert "selected>" not in page.html


def test_other_choices_of_the_page_stay(operator: Client) -> None:
    nodes = dict.fromkeys(("a", "b"), "user_action")
    edges = ("start>fork", "fork>a", "fork>b", "a>join", "b>join", "join>end")
    fixed: dict[str, Any] = {"start": "start", "fork": "parallel", "join": "join", "end": "end"}
    execution = started(source({**fixed, **nodes}, *edges))
    moved = [re.sub(r"\b([ab])\b", r"\g<1>2", edge) for edge in edges]
    save(execution.workflow, source({**fixed, "a2": "user_action", "b2": "user_action"}, *moved))
    page = Page(operator, f"{address(execution)}?retime=on&version=2")
    page.select(AFTER, "a2")
    assert "“b” continues" in page.html, "the next step without a target follows"
    page.select(AFTER, "b2")
    assert 'value="a2" selected' in page.html and 'value="b2" selected' in page.html
    assert 'id="retime" checked' in page.html and '<option value="2" selected>' in page.html


def test_branch_that_has_arrived_at_a_join_is_mapped_by_the_node_before_it(
    operator: Client,
) -> None:
    fixed: dict[str, Any] = {"start": "start", "fork": "parallel", "join": "join", "end": "end"}
    edges = ("start>fork", "fork>a", "fork>b", "a>join", "b>join", "join>end")
    execution = started(source({**fixed, "a": "user_action", "b": "user_action"}, *edges))
    services.submit(execution, node="a", data={"note": "n"})
    renamed = [re.sub(r"\ba\b", "a2", edge) for edge in edges]
    save(execution.workflow, source({**fixed, "a2": "user_action", "b": "user_action"}, *renamed))
    page = Page(operator, address(execution))
    assert "lost_arrival" in page.html
    page.select(BEFORE, "a,")
    page.select(AFTER, "a2")
    assert "lost_arrival" not in page.html
    page.move(address(execution))
    assert open_nodes(execution) == {"b", "join"}


def test_called_workflow_has_pictures_of_its_own(operator: Client) -> None:
    callee = WorkflowFactory(title="Callee")
    save_line(callee, form("inner", label="Assess"))
    caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
    execution = started(line(call(callee)), caller)
    save_line(callee, form("renamed", label="Review"))
    page = Page(operator, address(execution))
    assert "Called workflow “Callee”" in page.html
    page.select(f"Callee, {AFTER}", "Review")
    page.move(address(execution))
    assert open_nodes(Execution.objects.get(workflow=callee)) == {"renamed"}


def test_picture_counts_open_steps_of_all_trees(operator: Client) -> None:
    execution = start_at(form("old"))
    services.start(execution.workflow, execution.entity)
    old = execution.version
    correct(execution, form("new"))
    url = f"/admin/executions/execution/move-version/{old.pk}/"
    page = Page(operator, url)
    assert page.html.count("<title>2 open steps</title>") == 1, "before the move"
    page.select(AFTER, "new")
    assert page.html.count("<title>2 open steps</title>") == 2
