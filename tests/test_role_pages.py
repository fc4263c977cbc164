"""The pages and actions of the admin that each role may use."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions.models import Execution
from tests.people import (
    ADMINISTRATORS,
    ANONYMOUS,
    COMMENTERS,
    DESIGNERS,
    EVERYBODY,
    NONE,
    OPERATORS,
    PARTICIPANTS,
    READERS,
    Samples,
    create_samples,
    roll_back,
    views,
)

pytestmark = pytest.mark.django_db

OF_THE_SITE = {
    *("index", "login", "logout", "password_change", "password_change_done"),
    *("autocomplete", "jsi18n", "view_on_site", "app_list", "send_again", "search"),
}
"""Pages of Django's site that every staff user may open."""


def _pages(
    model: str, *, view: set[str], add: set[str], change: set[str], delete: set[str]
) -> dict[str, set[str]]:
    """Return the standard pages of a model with the roles that may open them."""
    return {
        f"{model}_changelist": view,
        f"{model}_history": view,
        f"{model}_add": add,
        f"{model}_change": view | change,
        f"{model}_delete": delete,
    }


def _read_only_pages(model: str, view: set[str]) -> dict[str, set[str]]:
    return _pages(model, view=view, add=NONE, change=NONE, delete=NONE)


def _editable_pages(model: str, view: set[str], may: set[str]) -> dict[str, set[str]]:
    return _pages(model, view=view, add=may, change=may, delete=may)


PAGES: dict[str, set[str]] = {
    **_editable_pages("auth_group", ADMINISTRATORS, ADMINISTRATORS),
    **_editable_pages("auth_user", ADMINISTRATORS, ADMINISTRATORS),
    "auth_user_password_change": ADMINISTRATORS,
    **_pages(
        "knox_authtoken",
        view=ADMINISTRATORS,
        add=ADMINISTRATORS,
        change=NONE,
        delete=ADMINISTRATORS,
    ),
    **_pages(
        "holdfast_failedlogins",
        view=ADMINISTRATORS,
        add=NONE,
        change=NONE,
        delete=ADMINISTRATORS,
    ),
    **_read_only_pages("workflows_auditentry", ADMINISTRATORS),
    **_editable_pages("workflows_findingtype", READERS, DESIGNERS),
    **_editable_pages("workflows_recordtype", READERS, DESIGNERS),
    **_editable_pages("workflows_workflow", READERS, DESIGNERS),
    "executions_execution_trial": DESIGNERS,
    "workflows_workflow_edit": DESIGNERS,
    "workflows_workflow_graph": DESIGNERS,
    "workflows_workflow_compare": READERS,
    "workflows_workflow_examples": DESIGNERS,
    "workflows_workflow_change_type": OPERATORS,
    "workflows_workflow_type_changed": OPERATORS,
    **_read_only_pages("workflows_version", READERS),
    **_read_only_pages("workflows_pendingchange", READERS),
    "workflows_pendingchange_withdraw": OPERATORS,
    "workflows_pendingchange_try": OPERATORS,
    **_editable_pages("executions_finding", READERS, OPERATORS),
    **_editable_pages("executions_inventorymodel", READERS, OPERATORS),
    **_read_only_pages("executions_execution", READERS),
    "executions_execution_csv": READERS,
    "executions_execution_inbox": PARTICIPANTS,
    "executions_execution_reports": READERS,
    "executions_execution_reports_csv": READERS,
    "executions_finding_csv": READERS,
    "executions_inventorymodel_csv": READERS,
    "executions_outgoingdelivery_csv": OPERATORS,
    "workflows_auditentry_csv": ADMINISTRATORS,
    "workflows_workflow_csv": READERS,
    **_pages(
        "workflows_savedfilter",
        view=READERS,
        add=READERS,
        change=ADMINISTRATORS,
        delete=ADMINISTRATORS,
    ),
    "executions_execution_start": OPERATORS,
    "executions_execution_start_on": OPERATORS,
    "executions_execution_cancel": OPERATORS,
    "executions_execution_restart": OPERATORS,
    "executions_execution_submit": PARTICIPANTS,
    "executions_execution_decide": OPERATORS,
    "executions_execution_retry_alike": OPERATORS,
    "executions_execution_reassign": OPERATORS,
    "executions_execution_move": OPERATORS,
    "executions_execution_move_version": OPERATORS,
    "executions_execution_comment": COMMENTERS,
    "executions_execution_file": READERS,
    "executions_execution_withdraw_comment": COMMENTERS,
    **_read_only_pages("executions_bulkoperation", OPERATORS),
    "executions_bulkoperation_begin": OPERATORS,
    "executions_bulkoperation_stop": OPERATORS,
    **_editable_pages("executions_subscription", OPERATORS, ADMINISTRATORS),
    "executions_subscription_rotate": ADMINISTRATORS,
    "executions_subscription_test": ADMINISTRATORS,
    **_read_only_pages("executions_outgoingdelivery", OPERATORS),
    "executions_outgoingdelivery_redeliver": OPERATORS,
    **_editable_pages("executions_secret", ADMINISTRATORS, ADMINISTRATORS),
    "executions_secret_revoke": ADMINISTRATORS,
}


LEAD_ELSEWHERE = {
    *("knox_authtoken_change", "workflows_pendingchange_try", "executions_subscription_test"),
    *("executions_bulkoperation_begin", "executions_bulkoperation_stop"),
    *("executions_execution_comment", "executions_execution_file", "executions_execution_submit"),
    *("executions_execution_retry_alike", "executions_execution_start_on"),
    *("executions_outgoingdelivery_redeliver", "executions_secret_revoke"),
}
"""Pages that redirect to another page, or return a file."""

TWINS = ("executions_inventorymodel_", "workflows_recordtype_")
"""Models whose pages are those of findings and of finding types."""

ONE_OF_EACH = {
    "_history": {"auth_user_history", "workflows_workflow_history"},
    "_delete": {"holdfast_failedlogins_delete", "workflows_workflow_delete"},
    "_add": {
        *("auth_user_add", "executions_finding_add", "knox_authtoken_add"),
        *("executions_subscription_add", "workflows_workflow_add"),
    },
    "_csv": set(),
}
"""The pages with this suffix that stand for all others, which have the same templates."""


def one_page_of_each_template() -> list[str]:
    """Return the names of the pages for an administrator, without those that repeat others."""
    return [
        name
        for name, may in PAGES.items()
        if "administrator" in may
        and name not in LEAD_ELSEWHERE
        and not name.startswith(TWINS)
        and all(name in ones for end, ones in ONE_OF_EACH.items() if name.endswith(end))
    ]


def address(name: str, made: Samples) -> str:
    rows: dict[str, Any] = {
        "auth_group": made.users["viewer"].groups.get(),
        "auth_user": made.users["nobody"],
        "knox_authtoken": made.tokens["nobody"],
        "holdfast_failedlogins": made.failed_logins,
        "workflows_auditentry": made.entry,
        "workflows_savedfilter": made.saved,
        "workflows_findingtype": made.unused_kind,
        "workflows_recordtype": made.unused_record_type,
        "workflows_workflow": made.unused_workflow,
        "workflows_version": made.unused_workflow.latest_version,
        "workflows_pendingchange": made.pending,
        "executions_finding": made.unused_finding,
        "executions_inventorymodel": made.unused_model,
        "executions_execution": made.at_a_form,
        "executions_bulkoperation": made.bulk,
        "executions_subscription": made.webhook,
        "executions_outgoingdelivery": made.delivery,
        "executions_secret": made.secret,
    }
    special: dict[str, tuple[list[Any], str]] = {
        "workflows_workflow_change_type": ([], f"?workflows={made.unused_workflow.pk}"),
        "workflows_workflow_type_changed": ([], ""),
        "executions_execution_start": ([made.workflow.pk], ""),
        "executions_execution_trial": ([made.unused_workflow.pk], ""),
        "executions_execution_start_on": ([made.unused_finding.pk], ""),
        "executions_execution_reports_csv": (["executions"], ""),
        "executions_execution_move_version": ([made.at_a_form.version_id], ""),
        "executions_execution_file": ([made.at_a_form.pk, made.file.cuid], ""),
        "executions_execution_withdraw_comment": ([made.at_a_form.pk, made.comment.cuid], ""),
    }
    steps = {
        "executions_execution_submit": made.at_a_form,
        "executions_execution_reassign": made.at_a_form,
        "executions_execution_retry_alike": made.in_an_incident,
        "executions_execution_decide": made.asleep,
    }
    if name in steps:
        decision = ["wake"] if name.endswith("_decide") else []
        return reverse(f"admin:{name}", args=[steps[name].pk, _open(steps[name]), *decision])
    if name in special:
        args, query = special[name]
        return reverse(f"admin:{name}", args=args) + query
    if name.endswith(("_changelist", "_add", "_csv", "_inbox", "_examples", "_reports")):
        return reverse(f"admin:{name}")
    model = "_".join(name.split("_")[:2])
    return reverse(f"admin:{name}", args=[rows[model].pk])


def _open(execution: Execution) -> str:
    return str(execution.steps.open().get().cuid)


def test_page_table_is_complete() -> None:
    found = {name for space, name, _ in views() if space == "admin" and name}
    assert found - OF_THE_SITE == set(PAGES)


# Permissions are decided in Python. The statements of every page run on both databases once.
@pytest.mark.parametrize(
    "who",
    [
        pytest.param(who, marks=pytest.mark.both_databases if who == "administrator" else ())
        for who in EVERYBODY
    ],
)
def test_page_is_visible_by_role(who: str, settings: Any) -> None:
    made = create_samples(settings, is_staff=True)
    client = Client()
    if who != ANONYMOUS:
        client.force_login(made.users[who])
    answered, templates = {}, {}
    for name in PAGES:
        with roll_back():
            response = client.get(address(name, made))
        is_sent_to_log_in = response.status_code == 302 and "/login/" in response["Location"]
        answered[name] = "login" if is_sent_to_log_in else response.status_code < 400
        if response.status_code == 200 and response.templates:
            templates[name] = response.templates[0].name
        assert is_sent_to_log_in or response.status_code in (200, 302, 403), name
    assert answered == {
        name: "login" if who == ANONYMOUS else who in may for name, may in PAGES.items()
    }
    if who == "administrator":
        checked_in_browser = {templates.get(name) for name in one_page_of_each_template()}
        assert checked_in_browser == set(templates.values())


def test_page_accepts_post_by_role(settings: Any) -> None:
    """Check that a button works for the same roles as the API route."""
    made = create_samples(settings, is_staff=True)
    name = "admin:executions_execution_decide"
    posts = {
        "submit": (
            reverse(
                "admin:executions_execution_submit",
                args=[made.at_a_form.pk, _open(made.at_a_form)],
            ),
            made.at_a_form,
            PARTICIPANTS,
        ),
        "wake": (
            reverse(name, args=[made.asleep.pk, _open(made.asleep), "wake"]),
            made.asleep,
            OPERATORS,
        ),
        "approve": (
            reverse(name, args=[made.at_a_vote.pk, _open(made.at_a_vote), "approve"]),
            made.at_a_vote,
            PARTICIPANTS,
        ),
        "skip": (
            reverse(name, args=[made.at_a_form.pk, _open(made.at_a_form), "skip"]),
            made.at_a_form,
            OPERATORS,
        ),
        "retry": (
            reverse(name, args=[made.in_an_incident.pk, _open(made.in_an_incident), "retry"]),
            made.in_an_incident,
            OPERATORS,
        ),
    }
    sent = {f"{_open(made.at_a_form)}-note": "n", "note": "w"}
    for who in EVERYBODY:
        client = Client()
        if who != ANONYMOUS:
            client.force_login(made.users[who])
        for button, (path, execution, may) in posts.items():
            before = _current_steps(execution)
            with roll_back():
                client.post(path, sent)
                assert (_current_steps(execution) != before) == (who in may), (who, button)


def _current_steps(execution: Execution) -> list[Any]:
    return list(execution.steps.open().values_list("node_id", "state", "votes__approves"))


def test_execution_page_has_buttons_by_role(settings: Any) -> None:
    made = create_samples(settings, is_staff=True)
    buttons = {
        made.at_a_form: ("submit", PARTICIPANTS),
        made.at_a_vote: ("approve", PARTICIPANTS),
        made.asleep: ("wake", OPERATORS),
        made.in_an_incident: ("retry", OPERATORS),
    }
    for who in sorted(READERS):
        client = Client()
        client.force_login(made.users[who])
        for execution, (name, may) in buttons.items():
            page = reverse("admin:executions_execution_change", args=[execution.pk])
            html = client.get(page).content.decode()
            step = _open(execution)
            has_button = f"/{name}/{step}/" in html or f"/{step}/{name}/" in html
            assert has_button == (who in may), (who, name)
            assert (f"/{execution.pk}/cancel/" in html) == (who in OPERATORS), who


def test_workflow_page_has_buttons_by_role(settings: Any) -> None:
    """The type is locked, so the page also shows remedies."""
    made = create_samples(settings, is_staff=True)
    buttons = {
        reverse("admin:workflows_workflow_change_type"): OPERATORS,
        reverse("admin:executions_execution_start", args=[made.workflow.pk]): OPERATORS,
        reverse("admin:workflows_workflow_edit", args=[made.workflow.pk]): DESIGNERS,
        'name="_save"': DESIGNERS,
    }
    for who in sorted(READERS):
        client = Client()
        client.force_login(made.users[who])
        response = client.get(reverse("admin:workflows_workflow_change", args=[made.workflow.pk]))
        page = response.content.decode()
        assert "Why the type is locked" in page, who
        for button, may in buttons.items():
            assert (button in page) == (who in may), (who, button)
