"""Forms of the admin that are submitted at the same time, on PostgreSQL."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions import services as running
from executions.models import Entity, Execution, Finding
from tests.conftest import Scenario
from tests.factories import UserFactory, save_line
from tests.test_idempotency_at_once import run_at_once
from tests.workflows.admin.forms import form_of
from tests.workflows.admin.staff import page
from workflows.db import locks
from workflows.models import Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("invariants"),
    pytest.mark.postgresql,
]


@pytest.fixture
def user(transactional_db: None) -> Any:
    return UserFactory(is_staff=True, is_superuser=True)


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("number", range(3))
def test_double_click_starts_one_execution(user: Any, scenario: Scenario, number: int) -> None:
    address = reverse("admin:executions_execution_start", args=[scenario.caller.pk])
    opened = form_of(browser(user).get(address), having="_once")
    sent = {**opened, "entity": str(scenario.finding.pk)}
    clients = [browser(user) for _ in range(4)]
    answers = run_at_once(*[partial(client.post, address, sent) for client in clients])
    execution = Execution.objects.get()
    assert {answer["Location"] for answer in answers} == {page(execution)}


def test_start_is_retried_after_conflict(
    user: Any, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, tried = browser(user), []

    def start(*args: Any, **kwargs: Any) -> Execution:
        tried.append(kwargs)
        if len(tried) < 3:
            raise locks.TryAgain
        return whole(*args, **kwargs)

    whole = running.start
    monkeypatch.setattr(running, "start", locks.retrying(start))
    address = reverse("admin:executions_execution_start", args=[scenario.caller.pk])
    sent = {**form_of(client.get(address), having="_once"), "entity": str(scenario.finding.pk)}
    answer = client.post(address, sent)
    assert answer["Location"] == page(Execution.objects.get())
    assert len(tried) == 3


@pytest.mark.parametrize("number", range(3))
def test_concurrent_page_and_execution_keep_both_changes(
    user: Any, scenario: Scenario, number: int
) -> None:
    decided = {"id": "x", "type": "set_field", "data": {"values": {"decision": "accepted"}}}
    save_line(scenario.callee, decided)
    clients = [browser(user) for _ in range(2)]
    pages = [form_of(client.get(page(scenario.finding)), having="_read") for client in clients]
    fields = ['{"owner": "ann"}', '{"note": "long"}']

    def save(index: int) -> Any:
        return clients[index].post(
            page(scenario.finding), {**pages[index], "fields": fields[index]}
        )

    run_at_once(
        lambda: save(0),
        lambda: save(1),
        lambda: running.start(scenario.callee, Entity.objects.get(pk=scenario.finding.pk)),
    )
    row = Finding.objects.get(pk=scenario.finding.pk)
    assert row.fields == {"owner": "ann", "note": "long", "decision": "accepted"}


def test_concurrent_edits_of_one_field_are_serialized(user: Any, scenario: Scenario) -> None:
    clients = [browser(user) for _ in range(3)]
    pages = [form_of(client.get(page(scenario.caller)), having="_read") for client in clients]

    def save(index: int) -> Any:
        sent = {**pages[index], "description": f"of {index}"}
        return clients[index].post(page(scenario.caller), sent)

    answers = run_at_once(*[partial(save, index) for index in range(3)])
    assert sorted(answer.status_code for answer in answers) == [200, 200, 302]
    assert Workflow.objects.get(pk=scenario.caller.pk).description.startswith("of ")
