"""Comments on executions, by the API and the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from executions import services
from executions.models import Comment, Execution
from executions.services.purging import Purged, purge
from tests.executions.assignees import log_in, start, start_unassigned
from tests.factories import WorkflowFactory, form, save_line, user_in
from tests.workflows.api.clients import assert_problem
from workflows.models import AuditEntry

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
]


@pytest.fixture
def ada() -> Any:
    return user_in("participant", username="ada", is_staff=True)


@pytest.fixture
def execution() -> Execution:
    workflow = WorkflowFactory()
    save_line(workflow, form())
    return start(workflow)


def url_of(execution: Execution, *more: str) -> str:
    return "/".join(["executions", execution.cuid, "comments", *more, ""])


def test_comment_is_listed_with_its_author_and_step(execution: Execution, ada: Any) -> None:
    api, step = log_in(ada), execution.steps.get(node_id="form")
    sent = {"text": " First line\n second", "step": step.cuid}
    created = api.post(url_of(execution), sent)
    assert created.status_code == 201
    assert created["Location"].endswith(f"/{url_of(execution, created.json()['cuid'])}")
    api.post(url_of(execution), {"text": "On all of it"})
    first, second = log_in(user_in("viewer")).get(url_of(execution)).json()["results"]
    assert (first["author"], first["text"], first["step"]) == ("ada", sent["text"], step.cuid)
    assert (second["text"], second["step"], second["withdrawn_at"]) == ("On all of it", None, None)
    rows = api.get(url_of(execution), {"format": "csv", "fields": "author,text"}).getvalue()
    assert b"ada,On all of it" in rows


def test_ended_execution_takes_comments(execution: Execution, ada: Any) -> None:
    services.cancel(execution)
    assert log_in(ada).post(url_of(execution), {"text": "Why?"}).status_code == 201


def test_comments_need_permission_to_read_the_execution(execution: Execution) -> None:
    api = log_in(user_in("designer"))
    assert api.get(url_of(execution)).status_code == 200
    assert_problem(api.post(url_of(execution), {"text": "t"}), 403, "permission_denied")
    nobody = user_in("viewer")
    nobody.groups.clear()
    assert_problem(log_in(nobody).get(url_of(execution)), 403, "permission_denied")
    assert_problem(api.get("executions/nothing/comments/"), 404, "not_found")


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"text": "  "}, "/text"),
        ({"text": "x" * 10_001}, "/text"),
        ({"text": 1}, "/text"),
        ({}, "/text"),
        ({"text": "t", "step": "nothing"}, "/step"),
        ({"text": "t", "node": "form"}, "/node"),
    ],
)
def test_invalid_comment_is_refused(
    execution: Execution, ada: Any, sent: dict[str, Any], pointer: str
) -> None:
    answer = log_in(ada).post(url_of(execution), sent)
    assert answer.status_code == 400
    assert [row["pointer"] for row in answer.json()["errors"]] == [pointer]
    assert not Comment.objects.exists()


def test_step_of_another_execution_is_refused(execution: Execution, ada: Any) -> None:
    other = start_unassigned().steps.open().get()
    answer = log_in(ada).post(url_of(execution), {"text": "t", "step": other.cuid})
    assert_problem(answer, 400, "invalid_comment")


def test_comment_and_withdrawal_are_recorded_without_text(execution: Execution, ada: Any) -> None:
    row = services.comment(execution, text="secret", by=ada)
    services.withdraw_comment(row, by=ada)
    services.withdraw_comment(row, by=ada)
    entries = AuditEntry.objects.filter(cuid=execution.cuid, action__contains="comment")
    assert [entry.action for entry in entries.order_by("pk")] == ["commented", "comment_withdrawn"]
    assert {entry.after["comment"] for entry in entries} == {row.cuid}
    assert "secret" not in str([entry.after for entry in entries])


def test_author_withdraws_a_comment(execution: Execution, ada: Any) -> None:
    api = log_in(ada)
    cuid = api.post(url_of(execution), {"text": "secret"}).json()["cuid"]
    body = api.post(url_of(execution, cuid, "withdraw"), {}).json()
    assert (body["text"], body["author"], body["withdrawn_by"]) == (None, "ada", "ada")
    assert "secret" not in api.get(url_of(execution)).content.decode()


def test_operator_withdraws_only_with_reason_and_others_not_at_all(
    execution: Execution, ada: Any
) -> None:
    row = services.comment(execution, text="secret", by=ada)
    url = url_of(execution, row.cuid, "withdraw")
    other = user_in("participant")
    assert_problem(log_in(other).post(url, {"why": "w"}), 403, "not_author")
    operator = log_in(user_in("operator"))
    assert_problem(operator.post(url, {}), 400, "reason_required")
    assert operator.post(url, {"why": "It names a customer."}).json()["text"] is None
    entry = AuditEntry.objects.get(action="comment_withdrawn", refused=False)
    assert entry.why == "It names a customer."


@pytest.mark.both_databases
def test_text_is_written_once(execution: Execution, ada: Any) -> None:
    row = services.comment(execution, text="before", by=ada)
    row.text = "after"
    for change in (row.save, lambda: Comment.objects.update(text="after")):
        with pytest.raises(ValidationError), transaction.atomic():
            change()
    with pytest.raises(IntegrityError), transaction.atomic():
        Comment._base_manager.filter(pk=row.pk).update(text="after")
    with pytest.raises(ValidationError), transaction.atomic():
        row.delete()
    row.refresh_from_db()
    assert row.text == "before"


def test_name_of_deleted_author_remains(execution: Execution, ada: Any) -> None:
    services.comment(execution, text="t", by=ada)
    ada.delete()
    (row,) = log_in(user_in("viewer")).get(url_of(execution)).json()["results"]
    assert row["author"] == "ada"


@pytest.mark.both_databases
def test_comments_are_purged_with_their_execution(execution: Execution, ada: Any) -> None:
    services.comment(execution, text="t", step=execution.steps.get().cuid, by=ada)
    services.cancel(execution)
    done = Purged()
    list(purge(timezone.now() + timedelta(seconds=1), done=done, rest=0))
    assert done.rows["comment"] == 1 and not Comment.objects.exists()


class TestPage:
    def test_timeline_shows_comments_in_order(self, execution: Execution, ada: Any) -> None:
        services.comment(execution, text="before the form", by=ada)
        services.submit(execution, data={"note": "n"}, by=ada)
        services.comment(execution, text="after the end", by=ada)
        browser = Browser()
        browser.force_login(ada)
        page = browser.get(own(execution)).content.decode()
        places = [page.index(text) for text in ("before the form", "after the end")]
        assert places == sorted(places) and page.count("Withdraw…") == 2

    def test_user_comments_and_withdraws(self, execution: Execution, ada: Any) -> None:
        browser = Browser()
        browser.force_login(ada)
        url = reverse("admin:executions_execution_comment", args=[execution.pk])
        step = execution.steps.get(node_id="form")
        assert f'action="{url}"' in browser.get(own(execution)).content.decode()
        sent = {"text": "<b>typed</b>", "step": step.cuid}
        page = browser.post(url, sent, follow=True).content.decode()
        assert "Comment added." in page and "&lt;b&gt;typed" in page and "on “form”" in page
        refused = browser.post(url, {"text": "y" * 10_001}).content.decode()
        assert "at most 10000 characters" in refused and "yyy" in refused
        row = Comment.objects.get()
        url = reverse("admin:executions_execution_withdraw_comment", args=[execution.pk, row.cuid])
        assert "&lt;b&gt;typed" in browser.get(url).content.decode()
        page = browser.post(url, {}, follow=True).content.decode()
        assert "Withdrawn by ada" in page and "&gt;typed" not in page

    def test_reader_sees_no_form(self, execution: Execution, ada: Any) -> None:
        services.comment(execution, text="for everybody", by=ada)
        browser = Browser()
        browser.force_login(user_in("viewer", is_staff=True))
        page = browser.get(own(execution)).content.decode()
        assert "for everybody" in page and "Add comment" not in page and "Withdraw…" not in page


def own(execution: Execution) -> str:
    return reverse("admin:executions_execution_change", args=[execution.pk])
