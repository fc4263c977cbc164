"""Fields that a user cannot read directly are not readable through other resources."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.urls import reverse

from executions import services as running
from executions.models import Execution, Finding, OutgoingDelivery
from tests.executions.receivers import create_webhook
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    WorkflowFactory,
    accounts,
    form,
    line,
    user_with,
)
from tests.workflows.api.clients import Client
from workflows import editing
from workflows.models import AuditEntry, PendingChange, Version, Workflow

pytestmark = pytest.mark.django_db

FINDING, WORKFLOW, GRAPH = "field-of-the-finding", "description-of-it", "notes-of-a-node"
EXECUTION, STEP, CHANGE, TYPE = "stage-it-is-at", "typed-into-it", "why-it-changes", "what-it-means"
READ_WITH: dict[str, list[set[str]]] = {
    FINDING: [{"executions.view_finding"}],
    WORKFLOW: [{"workflows.view_workflow"}],
    GRAPH: [{"workflows.view_version"}],
    # The graph contains the stage that a node sets.
    EXECUTION: [{"executions.view_execution"}, {"workflows.view_version"}],
    # The form writes a field of the finding.
    STEP: [{"executions.view_finding"}, {"executions.view_execution", "executions.view_step"}],
    CHANGE: [{"workflows.view_pendingchange"}],
    TYPE: [{"workflows.view_findingtype"}],
}
"""By the text of a field, the alternative sets of permissions that allow to read it."""
VIEWS = [
    "executions.view_execution",
    "executions.view_finding",
    "executions.view_inventorymodel",
    "executions.view_outgoingdelivery",
    "executions.view_step",
    "executions.view_subscription",
    "executions.view_vote",
    "workflows.view_auditentry",
    "workflows.view_findingtype",
    "workflows.view_pendingchange",
    "workflows.view_recordtype",
    "workflows.view_version",
    "workflows.view_workflow",
]
AUDIT = "workflows.view_auditentry"


@pytest.fixture
def records(settings: Any) -> Execution:
    """Create records with a text in a field, and change them, so that the audit log has it."""
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    settings.HTTP_REQUEST_HOSTS = ["listener.example"]
    finding_type = FindingTypeFactory(description=TYPE)
    other = FindingTypeFactory(description=TYPE)
    workflow = WorkflowFactory(entity_name_type=finding_type, description=WORKFLOW)
    create_webhook("https://listener.example/")
    accounts(groups=["risk"])
    stage: dict[str, Any] = {"id": "stage", "type": "set_state"}
    source = line(form("first", notes=GRAPH), stage, form("second", assignees={"groups": ["risk"]}))
    for notes in (GRAPH, "nothing"):
        # The audit log contains the replaced graph.
        stage["data"] = {"state": EXECUTION, "notes": notes}
        editing.save_graph(workflow, source, based_on=1)
    finding = FindingFactory(entity_name_type=finding_type, fields={"reason": FINDING})
    finding.fields = {**finding.fields, "more": FINDING}
    finding.save()
    execution = running.start(workflow, finding)
    running.submit(execution, node="first", data={"note": STEP})
    editing.change_entity_context([workflow], entity_name_type=other, when="drained", why=CHANGE)
    return execution


LISTS = [
    *("executions/", "executions/mine/", "findings/", "workflows/", "audit/"),
    *("pending-changes/", "finding-types/", "webhooks/"),
    "executions/?include=entity,workflow,open_steps",
]


def paths() -> list[str]:
    """Return the API paths of these records and of their lists."""
    execution, finding, workflow = (
        Execution.objects.get(),
        Finding.objects.get(),
        Workflow.objects.get(),
    )
    found = [f"executions/{execution.cuid}/", f"executions/{execution.cuid}/steps/"]
    found += [f"findings/{finding.cuid}/", f"workflows/{workflow.cuid}/"]
    found += [
        f"workflows/{workflow.cuid}/{rest}"
        for rest in (
            "versions/",
            "1/",
            "2/",
            "dependencies/",
            f"impact/?entity_name_type={other()}",
        )
    ]
    found += [f"audit/{row.pk}/" for row in AuditEntry.objects.all()]
    found += [f"webhook-deliveries/{row.cuid}/" for row in OutgoingDelivery.objects.all()]
    found += [f"pending-changes/{row.cuid}/" for row in PendingChange.objects.all()]
    found += LISTS
    return found


def other() -> str:
    return str(PendingChange.objects.get().entity_name_type.cuid)


MODELS: list[Any] = [
    *(Execution, Finding, Workflow, Version),
    *(AuditEntry, PendingChange, OutgoingDelivery),
]


def pages() -> list[str]:
    """Return the admin pages of these records, and their lists as CSV."""
    found = [reverse("admin:index")]
    for model in (
        Execution,
        Finding,
        Workflow,
        Version,
        AuditEntry,
        PendingChange,
        OutgoingDelivery,
    ):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found.append(reverse(f"{name}_changelist"))
        rows = model._base_manager.values_list("pk", flat=True)
        if model is Finding:
            rows = Finding.objects.values_list("pk", flat=True)
        found += [
            reverse(f"{name}_{view}", args=[pk]) for pk in rows for view in ("change", "history")
        ]
        if model in (Execution, Finding, Workflow, AuditEntry, OutgoingDelivery):
            found.append(reverse(f"{name}_csv"))
    found.append(reverse("admin:executions_execution_inbox"))
    return found


def texts(user: User) -> dict[str, str]:
    """Return the responses to this user, by path."""
    client, browser = Client(), Browser()
    client.force_login(user)
    browser.force_login(user)
    found = {}
    for path in paths():
        found[path] = body(client.get(path))
    for path in LISTS:
        found[f"{path} as CSV"] = body(client.get(path, headers={"Accept": "text/csv"}))
    for path in pages():
        found[path] = body(browser.get(path))
    return found


def body(response: Any) -> str:
    content = b"".join(response) if response.streaming else response.content
    return str(content.decode())


def leaks(user: User, permissions: set[str]) -> list[tuple[str, str]]:
    hidden = [
        text
        for text, alternatives in READ_WITH.items()
        if not any(needed <= permissions for needed in alternatives)
    ]
    return [
        (text, path) for path, content in texts(user).items() for text in hidden if text in content
    ]


def readable(*permissions: str) -> set[str]:
    # The audit log contains the reason of a change.
    return {*permissions, *(["workflows.view_pendingchange"] if AUDIT in permissions else [])}


@pytest.mark.slow
def test_permission_shows_no_field_of_other_resource(records: Execution) -> None:
    for permission in VIEWS:
        found = leaks(user_with(permission, is_staff=True), readable(permission))
        assert not found, permission


@pytest.mark.slow
def test_audit_log_shows_only_fields_of_readable_records(records: Execution) -> None:
    for permission in VIEWS:
        user = user_with(AUDIT, permission, is_staff=True)
        assert not leaks(user, readable(AUDIT, permission)), permission


def test_viewer_with_all_permissions_reads_each_field(records: Execution) -> None:
    content = "".join(texts(user_with(*VIEWS, is_staff=True)).values())
    assert all(text in content for text in READ_WITH)


def test_execution_shows_entity_without_fields(records: Execution) -> None:
    client = Client()
    client.force_login(user_with("executions.view_execution"))
    entity = client.get(f"executions/{records.cuid}/").json()["entity"]
    finding = Finding.objects.get()
    assert entity == {
        "cuid": finding.cuid,
        "title": finding.title,
        "entity_name": "Finding",
        "fields": None,
    }


def test_steps_need_permission_to_view_steps(records: Execution) -> None:
    path = f"executions/{records.cuid}/steps/"
    for permissions, status in (
        (["executions.view_execution"], 403),
        (["executions.view_step"], 403),
        (["executions.view_execution", "executions.view_step"], 200),
    ):
        client = Client()
        client.force_login(user_with(*permissions))
        assert client.get(path).status_code == status


@pytest.mark.parametrize("has_permission", [True, False])
def test_blocking_executions_are_named_only_with_permission(
    records: Execution, has_permission: bool
) -> None:
    permissions = [
        "workflows.view_workflow",
        *(["executions.view_execution"] if has_permission else []),
    ]
    client = Client()
    client.force_login(user_with(*permissions))
    workflow = Workflow.objects.get()
    blockers = client.get(f"workflows/{workflow.cuid}/impact/?entity_name_type={other()}").json()[
        "blockers"
    ]
    assert blockers["total"] == 1
    assert [row["cuid"] for row in blockers["executions"]] == (
        [records.cuid] if has_permission else []
    )
    browser = Browser()
    browser.force_login(user_with(*permissions, is_staff=True))
    page = body(browser.get(reverse("admin:workflows_workflow_change", args=[workflow.pk])))
    link = reverse("admin:executions_execution_change", args=[records.pk])
    assert (link in page) is has_permission
    assert ("1 execution that you may not view" in page) is not has_permission


@pytest.mark.parametrize(
    "query",
    [
        "fields.reason=x",
        "entity__fields__reason=x",
        "version__source__nodes=x",
        "steps__input=x",
        "steps__drafts=x",
    ],
)
def test_executions_cannot_be_filtered_by_fields_of_other_resources(
    records: Execution, query: str
) -> None:
    user = user_with("executions.view_execution", is_staff=True)
    browser, client = Browser(), Client()
    browser.force_login(user)
    client.force_login(user)
    page = browser.get(f"{reverse('admin:executions_execution_changelist')}?{query}")
    assert page.status_code in (302, 400)
    assert client.get(f"executions/?{query}").status_code == 400
    order = query.partition("=")[0]
    assert client.get(f"executions/?ordering={order}").status_code == 400
