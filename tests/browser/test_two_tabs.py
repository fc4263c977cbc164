"""Edits of one user in two tabs: no change is lost."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from executions import services
from executions.models import Execution, Finding
from tests.browser.accessibility import find_overflow, find_violations
from tests.executions.receivers import create_webhook
from tests.workflows.admin.staff import page as change_page
from workflows.models import Workflow

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

SAVE = "_save"


def tabs(walk: Any, address: str) -> tuple[Any, Any]:
    """Open a page in the current tab and in a new one."""
    other = walk.page.context.new_page()
    for tab in (walk.page, other):
        tab.goto(address)
    return walk.page, other


def save(tab: Any) -> None:
    """Press Save and wait for the next page."""
    with tab.expect_navigation():
        tab.locator(f'input[name="{SAVE}"]').click()


def fields(tab: Any, **values: Any) -> None:
    tab.locator("#id_fields").fill(json.dumps(values))


def test_two_tabs_on_one_finding_keep_both_changes(operator: Any, played: Any) -> None:
    row: Any = Finding.objects.get(pk=played.finding.pk)
    row.fields = {"owner": "ann"}
    row.save()
    first, second = tabs(operator, f"/admin/executions/finding/{row.pk}/change/")
    fields(first, owner="ann", note="from the first tab")
    save(first)
    # Different fields: both changes are saved.
    second.locator("#id_title").fill("Renamed")
    fields(second, owner="bea")
    save(second)
    row.refresh_from_db()
    assert row.title == "Renamed"
    assert row.fields == {"owner": "bea", "note": "from the first tab"}
    # The same field: the form shows both values and keeps the typed one.
    first, second = tabs(operator, f"/admin/executions/finding/{row.pk}/change/")
    fields(first, owner="cay", note="from the first tab")
    save(first)
    fields(second, owner="dan", note="from the first tab")
    save(second)
    texts = second.locator('[data-code="stale"]')
    assert 'owner: now "cay", your value "dan".' in texts.inner_text()
    assert "dan" in second.locator("#id_fields").input_value()
    row.refresh_from_db()
    assert row.fields["owner"] == "cay"
    save(second)
    row.refresh_from_db()
    assert row.fields == {"owner": "dan", "note": "from the first tab"}


def test_two_tabs_on_one_workflow_keep_retired_state(operator: Any, played: Any) -> None:
    row: Any = Workflow.objects.get(pk=played.caller.pk)
    first, second = tabs(operator, f"/admin/workflows/workflow/{row.pk}/change/")
    first.locator("#id_state").select_option("retired")
    save(first)
    second.locator("#id_title").fill("Renamed")
    save(second)
    row.refresh_from_db()
    assert (row.title, row.state) == ("Renamed", "retired")
    first, second = tabs(operator, f"/admin/workflows/workflow/{row.pk}/change/")
    first.locator("#id_state").select_option("active")
    save(first)
    second.locator("#id_state").select_option("draft")
    save(second)
    texts = second.locator('[data-code="stale"]').inner_text()
    assert "State: now “Active”, your value “Draft”." in texts
    assert second.locator("#id_state").input_value() == "draft"
    row.refresh_from_db()
    assert row.state == "active"
    save(second)
    row.refresh_from_db()
    assert row.state == "draft"


def test_form_is_offered_again_after_session_end(operator: Any, played: Any) -> None:
    address = f"/admin/executions/finding/{played.finding.pk}/change/"
    operator.page.goto(address)
    operator.page.locator("#id_title").fill("Typed")
    user = get_user_model().objects.get(username="ada")
    user.set_password("correct-horse-9")
    user.save()
    Session.objects.all().delete()
    save(operator.page)
    operator.page.locator("#id_username").fill("ada")
    operator.page.locator("#id_password").fill("correct-horse-9")
    operator.click("button", "Log in")
    assert operator.sees("Your session had ended when you submitted this form.")
    assert [*find_overflow(operator.page), *find_violations(operator.page)] == []
    # The content security policy blocks the inline styles of axe-core.
    operator.errors.clear()
    operator.click("button", "Submit again")
    assert operator.sees("was changed successfully")
    assert Finding.objects.get(pk=played.finding.pk).title == "Typed"


def test_typed_text_is_restored_after_leaving_the_form(operator: Any, played: Any) -> None:
    page, url = operator.page, f"/admin/executions/finding/{played.finding.pk}/change/"
    asked = []

    def leave(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.goto(url)
    page.locator("#id_title").press("End")
    page.locator("#id_title").press_sequentially(" typed")
    page.goto("/admin/")
    assert asked == ["beforeunload"]
    page.goto(url)
    assert operator.sees("What you typed here was restored.")
    assert page.locator("#id_title").input_value() == f"{played.finding.title} typed"
    save(page)
    page.goto(url)
    assert not page.get_by_text("What you typed here was restored.").count()
    page.locator("#id_title").press_sequentially(" again")
    # Someone else changes the value meanwhile: the page shows that one.
    Finding.objects.filter(pk=played.finding.pk).update(title="Other")
    page.goto(url)
    assert page.locator("#id_title").input_value() == "Other"


def test_every_long_form_keeps_what_was_typed(operator: Any, played: Any, settings: Any) -> None:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
    execution = services.start(played.caller, played.finding)
    webhook, _ = create_webhook("https://hooks.example/")
    played.callee.trigger, played.callee.trigger_data = "schedule", {"cron": "0 9 1 * *"}
    played.callee.save()
    step = execution.steps.open().get()
    forms = {
        change_page(execution): f"#id_{step.cuid}-comment",
        f"{change_page(execution)}?": "#comment-all",
        f"{change_page(execution)}?step": f"#comment-{step.cuid}",
        f"/admin/executions/execution/inbox/?open={step.cuid}": f"#id_{step.cuid}-comment",
        change_page(played.caller): "#id_description",
        change_page(played.callee): "[name='trigger_data-schedule/cron']",
        change_page(played.finding): "#id_fields",
        change_page(webhook): "#id_description",
        change_page(played.limitation): "#id_description",
    }
    page, asked = operator.page, []

    def leave(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    for url, field in forms.items():
        page.goto(url)
        if field.startswith(f"#comment-{step.cuid}"):
            page.get_by_text("Comment on this step").click()
        page.locator(field).press_sequentially("typed ")
    page.goto("/admin/")
    assert asked == ["beforeunload"] * len(forms)
    for url, field in forms.items():
        page.goto(url)
        assert "typed " in page.locator(field).input_value(), url


def test_double_click_on_start_starts_one_execution(operator: Any, played: Any) -> None:
    operator.page.goto(f"/admin/executions/execution/start/{played.caller.pk}/")
    operator.page.locator('input[name="entity"]').first.check()
    operator.page.get_by_role("button", name="Start execution").dblclick(no_wait_after=True)
    # The second click aborts the navigation of the first, so that waiting for one may fail.
    expect(operator.page).to_have_url(re.compile("/executions/execution/[0-9]+/change/"))
    assert operator.sees("Current steps")
    assert Execution.objects.filter(workflow=played.caller).count() == 1
