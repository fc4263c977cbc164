"""The trigger on the page of a workflow."""

from __future__ import annotations

import re
import subprocess
from html import unescape
from typing import Any

import pytest

from executions.models import Secret
from tests.factories import FindingTypeFactory, WorkflowFactory
from tests.workflows.admin.staff import page, settings_of, text
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("trigger", "data", "says"),
    [
        ("manual", {}, "Started manually only."),
        ("created", {}, "Started for each new entity of the type."),
        ("changed", {}, "Started by any edit."),
        ("changed", {"fields": ["b", "a"]}, "Started by an edit of “a”, “b”."),
        (
            "changed",
            {"rule": {"field": "a", "op": "exists"}},
            "Started by an edit of “a”, if its rule holds afterwards.",
        ),
        ("webhook", {"secret": "HOOK"}, "Started by a POST that is signed with the secret “HOOK”."),
    ],
)
def test_workflow_page_describes_trigger(
    admin_client: Any, trigger: str, data: dict[str, Any], says: str
) -> None:
    Secret.objects.create(name="HOOK", encrypted="")
    workflow = WorkflowFactory(trigger=trigger, trigger_data=data)
    html = text(admin_client.get(page(workflow)))
    assert says in html
    assert "works once it is active" not in html
    assert ("/hook/" in html) is (trigger == "webhook")


def test_workflow_page_says_that_draft_does_not_start(admin_client: Any) -> None:
    workflow = WorkflowFactory(trigger="created", state="draft")
    assert "The trigger works only while the workflow is active. Its state is “Draft”." in text(
        admin_client.get(page(workflow))
    )


def test_workflow_page_reports_invalid_trigger_details(admin_client: Any) -> None:
    workflow = WorkflowFactory(trigger="changed")
    Workflow._base_manager.update(trigger_data={"rule": 7})
    assert "The trigger details are invalid." in text(admin_client.get(page(workflow)))


def test_webhook_example_is_signed_correctly(admin_client: Any) -> None:
    from executions.webhooks.incoming import signature

    Secret.objects.create(name="HOOK", encrypted="")
    workflow = WorkflowFactory(trigger="webhook", trigger_data={"secret": "HOOK"})
    content = admin_client.get(page(workflow)).content.decode()
    (example,) = re.findall(r'<pre class="json example">(.*?)</pre>', content, re.DOTALL)
    script = unescape(example)
    assert f"http://testserver/api/v1/workflows/{workflow.cuid}/hook/" in script
    # Without the last line, the script prints the request instead of sending it.
    script = script[: script.index("curl ")] + 'echo "$AT $SIGNED $BODY"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    at, signed, body = said.strip().split(" ", 2)
    secret = "the value of HOOK"
    assert f"sha256={signed}" == signature(secret, workflow.cuid, at, body.encode())


def test_trigger_refusals_appear_at_fields(admin_client: Any) -> None:
    first = WorkflowFactory(title="First", trigger="created")
    kind = first.entity_name_type
    workflow = WorkflowFactory(entity_name_type=kind)
    form = page(workflow)
    sent = settings_of(workflow, trigger="created")
    html = admin_client.post(form, sent).context["adminform"].form.errors
    assert list(html) == ["trigger"]
    assert "“First”" in str(html["trigger"]) and page(first) in str(html["trigger"])

    sent = settings_of(workflow, trigger="changed", trigger_data='{"field": "a"}')
    html = admin_client.post(form, sent).context["adminform"].form.errors
    assert list(html) == ["trigger_data"]

    new = {**settings_of(workflow, trigger="created"), "title": "New"}
    response = admin_client.post("/admin/workflows/workflow/add/", new)
    assert list(response.context["adminform"].form.errors) == ["trigger"]
    new["entity_name_type"] = FindingTypeFactory().pk
    assert admin_client.post("/admin/workflows/workflow/add/", new).status_code == 302
    sent = settings_of(workflow, trigger="changed", trigger_data='{"fields": ["a"]}')
    assert admin_client.post(form, sent).status_code == 302
    workflow.refresh_from_db()
    assert (workflow.trigger, workflow.trigger_data) == ("changed", {"fields": ["a"]})


def test_page_of_a_new_workflow_has_the_settings_of_each_trigger(admin_client: Any) -> None:
    html = unescape(text(admin_client.get("/admin/workflows/workflow/add/")))
    for name in ("changed/fields/0", "webhook/secret", "schedule/every", "schedule/every#unit"):
        assert f'name="trigger_data-{name}"' in html
