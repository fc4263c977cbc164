"""Trial runs of drafts."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.conftest import Scenario
from tests.factories import call, form, line, user_in
from tests.workflows.admin.staff import text
from workflows import editing
from workflows.models import Workflow

LONG = [
    form("ask", {"name": "severity", "type": "number", "required": True}, label="Ask"),
    {
        "id": "mail",
        "type": "notify",
        "data": {"to": ["a@example.org"], "subject": "S", "body": "B"},
    },
    {"id": "nap", "type": "wait", "data": {"interval": "P3D"}},
]


class TrialRun:
    """A designer on the page of a trial run, without JavaScript."""

    def __init__(self, workflow: Workflow, nodes: list[dict[str, Any]]) -> None:
        self.client, user = Client(), user_in("designer", is_staff=True)
        self.client.force_login(user)
        self.url = reverse("admin:executions_execution_trial", args=[workflow.pk])
        token = editing.open_draft(workflow, user).token
        editing.edit_draft(workflow, user, token, lambda _source: (line(*nodes), "change"))
        self.response: Any = self.client.get(self.url)

    @property
    def html(self) -> str:
        return text(self.response)

    @property
    def steps(self) -> list[str]:
        trial = self.response.context.get("trial")
        return [step.title for step in trial.steps]

    def post(self, number: int, **sent: Any) -> None:
        (answers,) = set(re.findall(r'name="answers" value="([^"]*)"', self.html))
        (fields,) = set(re.findall(r'name="fields" value="([^"]*)"', self.html))
        known = {"answers": unescape(answers), "fields": unescape(fields)}
        self.response = self.client.post(self.url, {**known, "step": number, **sent})

    def restart(self, fields: str) -> None:
        self.response = self.client.post(self.url, {"fields": fields})


def count_rows() -> dict[str, int]:
    """Return the number of rows of each table."""
    return {
        model._meta.label: model._base_manager.count()
        for model in apps.get_models()
        if model._meta.managed and not model._meta.proxy and model._meta.app_label != "sessions"
    }


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_trial_run_reaches_the_end_and_writes_and_sends_nothing(scenario: Scenario) -> None:
    editing.save_graph(scenario.callee, line(form("inner", label="Inner")), based_on=1)
    trial = TrialRun(scenario.caller, [*LONG, call(scenario.callee, "sub")])
    before = count_rows()
    assert trial.steps == ["Ask"]
    trial.post(0, **{"step-0-severity": "3"})
    assert trial.steps == ["mail"]
    assert "&quot;severity&quot;: 3" in trial.html
    trial.post(0, skip="")
    assert trial.steps == ["nap"]
    trial.post(0, skip="")
    assert trial.steps == ["sub", "Inner"]
    trial.post(1, **{"step-1-note": "Seen."})
    assert trial.response.context["trial"].status == "completed"
    assert 'class="node done"' in trial.html
    assert not connection.in_atomic_block
    assert count_rows() == before
    assert mail.outbox == []


@pytest.mark.django_db
def test_call_of_a_trial_run_can_be_skipped(scenario: Scenario) -> None:
    editing.save_graph(scenario.callee, line(form("inner", label="Inner")), based_on=1)
    trial = TrialRun(scenario.caller, [call(scenario.callee, "sub")])
    assert trial.steps == ["sub", "Inner"]
    trial.post(0, skip="")
    assert trial.response.context["trial"].status == "completed"


@pytest.mark.django_db
def test_form_of_a_trial_run_is_checked(scenario: Scenario) -> None:
    trial = TrialRun(scenario.caller, LONG)
    trial.post(0, **{"step-0-severity": ""})
    assert trial.steps == ["Ask"]
    assert "This field is required." in trial.html
    trial.post(0, **{"step-0-severity": "5"})
    assert trial.steps == ["mail"]


@pytest.mark.django_db
def test_trial_run_goes_back_and_starts_again_on_other_fields(scenario: Scenario) -> None:
    trial = TrialRun(scenario.caller, LONG)
    trial.post(0, **{"step-0-severity": "5"})
    answers = trial.response.context["answers"]
    trial.response = trial.client.post(trial.url, {"answers": answers, "fields": "{}", "back": "1"})
    assert trial.steps == ["Ask"]
    trial.restart('{"owner": "ada"}')
    assert "&quot;owner&quot;: &quot;ada&quot;" in trial.html
    for wrong, words in (("[]", "must be a JSON object"), ("{", "not valid JSON")):
        trial.restart(wrong)
        assert words in trial.html


@pytest.mark.django_db
@pytest.mark.parametrize(
    "answers", ["{", "3", '[{"step": 9}]', '[{"step": "x"}]', '[{"step": 0, "data": []}]']
)
def test_damaged_answers_are_refused(scenario: Scenario, answers: str) -> None:
    trial = TrialRun(scenario.caller, LONG)
    trial.response = trial.client.post(trial.url, {"answers": answers, "fields": "{}"})
    assert trial.response.status_code == 200
    assert "messagelist" in trial.html


@pytest.mark.django_db
def test_trial_run_of_an_invalid_draft_lists_its_problems(scenario: Scenario) -> None:
    trial = TrialRun(scenario.caller, [{"id": "mark", "type": "set_state", "data": {}}])
    assert "Fix 1 problem first" in trial.html
    assert trial.response.context.get("trial") is None


@pytest.mark.django_db
def test_trial_run_says_that_a_callee_is_not_active(scenario: Scenario) -> None:
    scenario.callee.state = "draft"
    scenario.callee.save()
    trial = TrialRun(scenario.caller, [call(scenario.callee, "sub")])
    assert "The trial run cannot continue." in trial.html
