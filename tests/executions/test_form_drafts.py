"""Drafts of forms: each user has one per step, which nobody else can read."""

from __future__ import annotations

import json
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.test import Client as Browser
from django.urls import reverse

from executions import services
from executions.models import Execution, FormDraft, OutgoingDelivery, Step
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    UserFactory,
    WorkflowFactory,
    accounts,
    form,
    save_line,
    user_in,
)
from tests.workflows.api.clients import Client
from workflows import editing
from workflows.models import AuditEntry

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_databases,
    pytest.mark.usefixtures("invariants"),
]
SECRET = "not for everyone yet"


@pytest.fixture
def execution() -> Execution:
    """Start an execution whose form is assigned to the group of ada and grace."""
    workflow = WorkflowFactory()
    accounts(groups=["team"])
    save_line(workflow, form(assignees={"groups": ["team"]}), form("after"))
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    return services.start(workflow, finding)


def get_user(name: str, role: str = "participant", **fields: Any) -> User:
    user = user_in(role, username=name, is_staff=True, **fields)
    user.groups.add(Group.objects.get_or_create(name="team")[0])
    return user


def api(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def save_draft(execution: Execution, user: User, **data: Any) -> None:
    services.save_draft(execution, node="form", data=data, by=user)


def read_draft(execution: Execution, user: User) -> Any:
    (step,) = api(user).get(f"executions/{execution.cuid}/").json()["open_steps"]
    return step["draft"]


def test_each_user_has_own_draft(execution: Execution) -> None:
    ada, grace = get_user("ada"), get_user("grace")
    for user, note in ((ada, "a"), (grace, "b"), (ada, "c")):
        body = {"node": "form", "data": {"note": note}}
        answer = api(user).post(f"executions/{execution.cuid}/draft/", body)
        assert answer.json()["open_steps"][0]["draft"] == {"note": note}
    assert (read_draft(execution, ada), read_draft(execution, grace)) == (
        {"note": "c"},
        {"note": "b"},
    )
    assert FormDraft.objects.count() == 2


def test_draft_is_visible_to_its_author_only(execution: Execution) -> None:
    ada = get_user("ada")
    save_draft(execution, ada, note=SECRET)
    others = [
        get_user("grace"),
        get_user("root", is_superuser=True),
        *(get_user(role, role) for role in ("viewer", "designer", "operator", "administrator")),
    ]
    step = execution.steps.open().get()
    for user in others:
        client, browser = api(user), Browser()
        browser.force_login(user)
        own = f"executions/{execution.cuid}/"
        for path in (own, f"{own}steps/", "executions/", "executions/mine/", "audit/"):
            for accepted in ("application/json", "text/csv"):
                response = client.get(path, headers={"Accept": accepted})
                assert SECRET not in read_body(response), (user, path)
        for name in ("changelist", "inbox"):
            page = browser.get(reverse(f"admin:executions_execution_{name}"))
            assert SECRET not in read_body(page), (user, name)
        for name in ("change", "history"):
            url = reverse(f"admin:executions_execution_{name}", args=[execution.pk])
            assert SECRET not in read_body(browser.get(url, follow=True)), (user, name)
        assert read_draft(execution, user) is None
    services.submit(execution, step=step.cuid, data={"note": "done"}, by=ada)
    written = [
        *AuditEntry.objects.values_list("before", "after", "why"),
        *OutgoingDelivery.objects.values(),
        *Step.objects.values(),
    ]
    assert SECRET not in json.dumps(written, default=str)


def read_body(response: Any) -> str:
    content = b"".join(response) if response.streaming else response.content
    return content.decode()


def test_drafts_are_deleted_when_step_is_submitted(execution: Execution) -> None:
    ada, grace = get_user("ada"), get_user("grace")
    save_draft(execution, ada, note="a")
    save_draft(execution, grace, note="b")
    services.submit(execution, node="form", data={"note": "n"}, by=grace)
    assert not FormDraft.objects.exists()
    assert read_draft(execution, ada) is None


def test_drafts_are_deleted_when_execution_is_cancelled(execution: Execution) -> None:
    save_draft(execution, get_user("ada"), note="a")
    services.cancel(execution)
    assert not FormDraft.objects.exists()


def test_drafts_of_other_steps_stay_when_step_is_closed(scenario: Scenario) -> None:
    one, other, ada = scenario.start(), scenario.start(), UserFactory()
    save_draft(one, ada, note="a")
    save_draft(other, ada, note="b")
    services.submit(one, node="form", data={"note": "n"})
    assert FormDraft.objects.get().data == {"note": "b"}


def test_drafts_are_deleted_with_their_author(execution: Execution) -> None:
    ada, _ = get_user("ada"), get_user("grace")
    save_draft(execution, ada, note="a")
    ada.delete()
    assert not FormDraft.objects.exists()


def test_page_and_inbox_show_own_draft(execution: Execution) -> None:
    ada, grace = get_user("ada"), get_user("grace")
    save_draft(execution, ada, note="of ada")
    save_draft(execution, grace, note="of grace")
    for user, own, others in ((ada, "of ada", "of grace"), (grace, "of grace", "of ada")):
        browser = Browser()
        browser.force_login(user)
        for url in (
            reverse("admin:executions_execution_inbox"),
            reverse("admin:executions_execution_change", args=[execution.pk]),
        ):
            page = read_body(browser.get(url))
            assert f'value="{own}"' in page and others not in page


def test_graph_draft_is_hidden_from_others() -> None:
    workflow, ada, grace = WorkflowFactory(), UserFactory(), UserFactory()
    token = editing.open_draft(workflow, ada).token
    editing.edit_draft(workflow, ada, token, lambda source: (graph_with_note(source), "Noted"))
    assert SECRET in json.dumps(editing.open_draft(workflow, ada).source)
    assert SECRET not in json.dumps(editing.open_draft(workflow, grace).source)


def graph_with_note(source: Any) -> Any:
    first, *others = source["nodes"]
    return {**source, "nodes": [{**first, "data": {"notes": SECRET}}, *others]}


def test_migration_assigns_draft_to_sole_assignee() -> None:
    ada, data = UserFactory(username="ada"), {"note": SECRET}
    steps = {}
    for name, assignees in {
        "one": {"users": ["ada"]},
        "gone": {"users": ["nobody"]},
        "two": {"users": ["ada", "grace"]},
        "group": {"users": ["ada"], "groups": ["team"]},
        "everybody": {},
    }.items():
        workflow = WorkflowFactory()
        save_line(workflow, form())
        finding = FindingFactory(entity_name_type=workflow.entity_name_type)
        step = services.start(workflow, finding).steps.open().get()
        # The format of assignees before this migration.
        Step.objects.filter(pk=step.pk).update(assignees=json.dumps(assignees))
        steps[name] = step
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE executions_step ADD COLUMN draft text NULL")
    migration = import_module("executions.migrations.0018_drafts_of_their_authors")
    before = MigrationLoader(connection).project_state(("executions", "0017_form_drafts")).apps
    old = before.get_model("executions", "Step").objects
    old.update(draft=data)
    for _ in range(2):
        # An interrupted migration can run again.
        migration.carry_over(before, SimpleNamespace(connection=connection))
    assert [(row.step, row.user, row.data) for row in FormDraft.objects.all()] == [
        (steps["one"], ada, data)
    ]
    assert not old.exclude(draft=None).exists()
    Step.objects.update(assignees="")
