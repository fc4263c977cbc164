"""Actions of forms: buttons with exits of their own, on every interface."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.test import Client as Browser
from django.urls import reverse

from executions import services
from executions.engine.forms import FormInvalid
from executions.models import Execution, FormDraft, OutgoingDelivery, Status, Step, Visits
from tests.executions.receivers import create_webhook
from tests.factories import FindingFactory, WorkflowFactory, user_in
from tests.workflows.api.clients import Client, assert_problem
from tests.workflows.graphs import edge, node, only
from workflows import editing
from workflows.graph import edit_steps
from workflows.models import AuditEntry

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
]
PAGE = Path(project.BASE_DIR) / "docs" / "how-to" / "patterns.md"
FIELDS = [
    {"name": "comment", "type": "text", "required": True},
    {"name": "amount", "type": "number"},
    {"name": "owner", "type": "user"},
]
ACTIONS: list[dict[str, Any]] = [
    {"handle": "approve", "label": "Approve"},
    {"handle": "rework", "label": "Return for rework", "style": "danger", "validates": False},
]


def review(*exits: str, actions: Any = ACTIONS) -> dict[str, Any]:
    """Return a form with actions; ``exits`` lead to the end."""
    nodes = [
        node("start", "start"),
        node("review", "user_action", fields=FIELDS, actions=actions),
        node("end", "end"),
    ]
    edges = [edge("review", "end", name) for name in exits or ("approve", "rework")]
    return {"nodes": nodes, "edges": [edge("start", "review"), *edges]}


def started(source: dict[str, Any], **fields: Any) -> Execution:
    workflow = WorkflowFactory()
    editing.save_graph(workflow, source, based_on=1)
    finding = FindingFactory(entity_name_type=workflow.entity_name_type, fields=fields)
    return services.start(workflow, finding)


def api(role: str = "participant") -> Client:
    client = Client()
    client.force_login(user_in(role))
    return client


def documented_graph() -> dict[str, Any]:
    section = PAGE.read_text().partition("\n## Return for rework\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    graph: dict[str, Any] = json.loads(block)
    return graph


@pytest.mark.both_databases
def test_documented_rework_loops_until_it_is_approved() -> None:
    execution = started(documented_graph())
    services.submit(execution, node="draft", data={"assessment": "a"})
    services.submit(execution, node="review", data={"comment": "thin"}, action="rework")
    services.submit(execution, node="draft", data={"assessment": "b"})
    services.submit(execution, node="review", data={"comment": "good"}, action="approve")
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED
    assert [one.handle for one in Visits(execution) if one.node_id == "review"] == [
        "rework",
        "approve",
    ]


def test_documented_escalation_needs_no_comment() -> None:
    execution = started(documented_graph())
    services.submit(execution, node="draft", data={"assessment": "a"})
    services.submit(execution, node="review", data={}, action="escalate")
    assert execution.steps.open().get().node_id == "head"


def test_action_that_validates_refuses_an_incomplete_form() -> None:
    execution = started(review())
    with pytest.raises(FormInvalid, match="comment"):
        services.submit(execution, node="review", data={"amount": 1}, action="approve")
    assert execution.steps.open().get().node_id == "review"


@pytest.mark.both_databases
def test_action_without_validation_keeps_what_is_well_formed() -> None:
    execution = started(review(), comment="kept", amount=1)
    answers = {"comment": "", "amount": "many", "owner": "nobody at all"}
    services.submit(execution, node="review", data=answers, action="rework")
    execution.entity.refresh_from_db()
    assert execution.entity.fields == {"comment": "kept", "amount": 1}
    again = started(review(), comment="kept")
    services.submit(again, node="review", data={"amount": 2}, action="rework")
    again.entity.refresh_from_db()
    assert again.entity.fields == {"comment": "kept", "amount": 2}


@pytest.mark.parametrize("data", [[], {"stranger": 1}])
def test_action_without_validation_refuses_data_of_another_form(data: Any) -> None:
    execution = started(review())
    with pytest.raises(FormInvalid):
        services.submit(execution, node="review", data=data, action="rework")


@pytest.mark.parametrize(
    ("action", "code", "detail"),
    [
        (None, "required", "Choose an action: 'approve', 'rework'."),
        ("agree", "invalid_choice", "has no action 'agree'. Its actions: 'approve', 'rework'."),
    ],
)
def test_submit_is_refused_without_a_known_action(action: Any, code: str, detail: str) -> None:
    execution = started(review())
    with pytest.raises(FormInvalid) as refused:
        services.submit(execution, node="review", data={"comment": "c"}, action=action)
    [problem] = refused.value.problems
    assert (problem.pointer, problem.code) == ("/action", code)
    assert detail in problem.detail.replace('"', "'")


def test_submit_is_refused_with_an_action_that_the_form_does_not_have() -> None:
    source = review()
    del source["nodes"][1]["data"]["actions"]
    source["edges"] = [edge("start", "review"), edge("review", "end")]
    execution = started(source)
    with pytest.raises(FormInvalid, match="Leave it out"):
        services.submit(execution, node="review", data={"comment": "c"}, action="approve")


def test_graph_is_refused_when_an_action_has_no_edge_or_an_edge_no_action() -> None:
    assert only(review("approve")) == (
        "/nodes/1",
        "The exit 'rework' of “review” has no next step.",
    )
    pointer, detail = only(review("approve", "rework", "other"))
    assert pointer == "/edges/3/sourceHandle"
    assert "no exit 'other'" in detail


def test_graph_is_refused_when_two_actions_share_an_exit() -> None:
    twice = [ACTIONS[0], {**ACTIONS[1], "handle": "approve"}]
    pointer, detail = only(review("approve", actions=twice))
    assert pointer == "/nodes/1/data/actions/1/handle"
    assert "Two actions" in detail


def test_action_is_recorded_in_audit_log_and_sent_to_webhooks(settings: Any) -> None:
    settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
    settings.SECRETS_KEY = ["0" * 43 + "="]
    create_webhook("https://hooks.example/events", events=["execution.submitted"])
    execution = started(review())
    step = execution.steps.open().get()
    user = user_in("participant", username="ada")
    services.submit(execution, step=step.cuid, data={"comment": "c"}, action="approve", by=user)
    entry = AuditEntry.objects.get(action="submitted")
    assert (entry.cuid, entry.who) == (execution.cuid, "ada")
    assert entry.after == {"node": "review", "step": step.cuid, "action": "approve"}
    assert OutgoingDelivery.objects.get().data == {
        "execution": execution.cuid,
        "status": "completed",
        "root": None,
        "parent": None,
        "item": None,
        "workflow": execution.workflow.cuid,
        "version": execution.version.number,
        "entity": execution.entity.cuid,
        "node": "review",
        "step": step.cuid,
        "action": "approve",
    }


def test_api_shows_actions_and_takes_one() -> None:
    execution = started(review())
    client = api()
    route = f"executions/{execution.cuid}/"
    assert client.get(route).json()["open_steps"][0]["form"]["actions"] == [
        {"handle": "approve", "label": "Approve", "style": "primary", "validates": True},
        ACTIONS[1],
    ]
    body: dict[str, Any] = {"node": "review", "data": {}}
    refused = assert_problem(client.post(f"{route}submit/", body), 400, "invalid_form")
    assert refused["errors"][0]["pointer"] == "/action"
    assert_problem(
        client.post(f"{route}draft/", {**body, "action": "rework"}), 400, "unknown_field"
    )
    done = client.post(f"{route}submit/", {**body, "action": "rework"})
    assert done.json()["status"] == "completed"
    [step] = [one for one in client.get(f"{route}steps/").json()["results"] if one["handle"]]
    assert (step["node"], step["handle"]) == ("review", "rework")


def test_draft_is_deleted_when_an_action_is_taken() -> None:
    execution = started(review())
    services.save_draft(execution, node="review", data={"comment": "x"}, by=user_in("participant"))
    services.submit(execution, node="review", data={}, action="rework")
    assert not FormDraft.objects.exists()


def test_skip_takes_the_exit_of_an_action() -> None:
    execution = started(review())
    services.skip(execution, node="review", handle="approve", why="By phone.")
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED


class TestPages:
    @pytest.fixture
    def browser(self) -> Browser:
        browser = Browser()
        browser.force_login(user_in("participant", is_staff=True))
        return browser

    def post(self, browser: Browser, execution: Execution, action: str, **answers: str) -> Any:
        step = execution.steps.get(node_id="review")
        url = reverse("admin:executions_execution_submit", args=[execution.pk, step.cuid])
        sent = {f"{step.cuid}-{name}": value for name, value in answers.items()}
        return browser.post(url, {**sent, "_action": action})

    def test_pages_have_a_button_for_each_action(self, browser: Browser) -> None:
        execution = started(review())
        for name, args in (("change", [execution.pk]), ("inbox", [])):
            page = browser.get(reverse(f"admin:executions_execution_{name}", args=args))
            text = page.content.decode()
            assert re.search(r'class="button default" name="_action" value="approve"', text)
            assert re.search(r'class="button danger" name="_action" value="rework"', text)

    def test_button_shows_errors_or_leaves_by_its_exit(self, browser: Browser) -> None:
        execution = started(review())
        refused = self.post(browser, execution, "approve", amount="many")
        assert "This field is required." in refused.content.decode()
        assert self.post(browser, execution, "rework", amount="many").status_code == 302
        assert Step.objects.get(node_id="review").handle == "rework"
        page = browser.get(reverse("admin:executions_execution_inbox")).content.decode()
        assert "<td>rework</td>" in page

    def test_unknown_button_is_refused(self, browser: Browser) -> None:
        execution = started(review())
        refused = self.post(browser, execution, "agree", comment="c")
        assert "has no action" in refused.content.decode()

    def test_path_shows_the_label_of_the_action(self) -> None:
        execution = started(review())
        browser = Browser()
        browser.force_login(user_in("operator", is_staff=True))
        page = browser.get(reverse("admin:executions_execution_change", args=[execution.pk]))
        assert "review, exit Return for rework: next end." in page.content.decode()


def test_editor_moves_the_edge_of_a_form_to_its_first_action() -> None:
    source = review()
    data = source["nodes"][1]["data"]
    plain = {"fields": FIELDS}
    source["nodes"][1]["data"] = plain
    source["edges"] = [edge("start", "review"), {"source": "review", "target": "end"}]
    changed = edit_steps.set_node_data(source, "review", data)
    assert changed["edges"][1] == {"source": "review", "target": "end", "sourceHandle": "approve"}
    back = edit_steps.set_node_data(changed, "review", plain)
    assert back["edges"][1] == {"source": "review", "target": "end"}
