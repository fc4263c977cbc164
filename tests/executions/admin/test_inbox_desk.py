"""The inbox as a desk: filters, order, counts, claims, votes, and the next task."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from executions import services
from executions.admin import inbox_filters
from executions.models import Comment, Execution, Step
from tests.executions.assignees import approval_graph, create_member
from tests.factories import (
    FindingFactory,
    WorkflowFactory,
    accounts,
    form,
    save_line,
    user_in,
    user_with,
)
from tests.workflows.admin.staff import list_messages, text
from workflows import editing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

INBOX = reverse("admin:executions_execution_inbox")


@pytest.fixture
def ada() -> Any:
    user = user_in("participant", username="ada", is_staff=True)
    user.groups.add(Group.objects.create(name="risk"))
    return user


@pytest.fixture
def client(ada: Any) -> Client:
    client = Client()
    client.force_login(ada)
    return client


def asking(title: str = "Work", entity: str = "Thing", **data: Any) -> Execution:
    workflow = WorkflowFactory(title=title)
    save_line(workflow, form(**data))
    finding = FindingFactory(entity_name_type=workflow.entity_name_type, title=entity)
    return services.start(workflow, finding)


def tasks(client: Client, **query: str) -> list[int]:
    return [task.execution.pk for task in client.get(INBOX, query).context["tasks"]]


def step_of(execution: Execution) -> Step:
    return execution.steps.open().get()


def url_of(execution: Execution, *names: str) -> str:
    args = [execution.pk, step_of(execution).cuid, *names]
    return reverse(f"admin:executions_execution_{'decide' if names else 'submit'}", args=args)


def opened_task(response: Any) -> str:
    """Return the task that a redirect to the inbox opens, without its other parameters."""
    parts = urlsplit(response["Location"])
    assert parts.path == INBOX
    (cuid,) = parse_qs(parts.query)["open"]
    assert parts.fragment == f"task-{cuid}"
    return str(cuid)


def test_parts_of_the_inbox_are_counted_and_filtered(client: Client, ada: Any) -> None:
    own = asking(assignees={"users": ["ada"]})
    grouped, taken = (asking(assignees={"groups": ["risk"]}) for _ in range(2))
    free = asking()
    bob = create_member("bob", "risk")
    services.claim(taken, node="form", by=bob)
    services.claim(free, node="form", by=ada)
    parts = client.get(INBOX).context["parts"]
    assert [str(part.total) for part in parts] == ["4", "2", "2", "1", "2"]
    assert tasks(client, who="me") == [own.pk, free.pk]
    assert tasks(client, who="groups") == [grouped.pk, taken.pk]
    assert tasks(client, who="claimed") == [free.pk]
    assert tasks(client, who="unclaimed") == [own.pk, grouped.pk]
    assert len(tasks(client, who="nonsense")) == 4


def test_search_and_filters_narrow_the_list(client: Client) -> None:
    review = asking("Review", "Alpha", deadline="P1D")
    attest = asking("Attest", "Beta")
    assert tasks(client, q="alpha") == tasks(client, q="rev ALPH") == [review.pk]
    assert tasks(client, q="rev beta") == []
    assert len(tasks(client, q="\0")) == 2
    assert "No tasks match the filters." in text(client.get(INBOX, {"q": "nothing"}))
    assert tasks(client, workflow=str(attest.workflow_id)) == [attest.pk]
    assert tasks(client, type=str(review.entity.entity_name_type_id)) == [review.pk]
    assert len(tasks(client, workflow="999", due="soon", sort="x")) == 2


@pytest.mark.parametrize("limit", [0, 1_000], ids=["many tasks", "few tasks"])
def test_filters_offer_only_workflows_and_types_with_tasks(
    client: Client, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_filters, "OVERVIEW_LIMIT", limit)
    accounts(users=["bob"])
    ada, anyone = asking("Ada", assignees={"users": ["ada"]}), asking("Anyone")
    asking("Bob", assignees={"users": ["bob"]})
    services.submit(asking("Done"), node="form", data={"note": "n"})
    fields = client.get(INBOX).context["filters"].fields
    workflows = [ada.workflow, anyone.workflow]
    types = sorted((one.entity.entity_name_type for one in (ada, anyone)), key=str)
    expected: list[tuple[str, list[Any]]] = [("workflow", workflows), ("type", types)]
    for name, rows in expected:
        offered = [(str(row.pk), str(row)) for row in rows]
        assert [*fields[name].choices] == [("", "All"), *offered]


def test_deadline_filters_and_order(client: Client) -> None:
    late, none, soon = asking(deadline="P3D"), asking(), asking(deadline="P9D")
    Step.objects.filter(pk=step_of(late).pk).update(
        overdue=True, due_at=timezone.now() - timedelta(days=1)
    )
    assert tasks(client) == [late.pk, soon.pk, none.pk]
    assert tasks(client, due="overdue") == tasks(client, due="today") == [late.pk]
    assert tasks(client, due="week") == [late.pk]
    assert tasks(client, due="none") == [none.pk]
    assert tasks(client, sort="since") == [late.pk, none.pk, soon.pk]
    assert tasks(client, sort="-since") == [soon.pk, none.pk, late.pk]


def test_task_is_claimed_and_unclaimed_in_the_inbox(client: Client, ada: Any) -> None:
    execution = asking()
    cuid = step_of(execution).cuid
    claim, unclaim = url_of(execution, "claim"), url_of(execution, "unclaim")
    assert f'action="{claim}"' in text(client.get(INBOX))
    sent = {"back_to": "inbox", "query": "q=thing&who=unclaimed&evil=1"}
    response = client.post(claim, sent)
    assert opened_task(response) == cuid
    assert set(parse_qs(urlsplit(response["Location"]).query)) == {"q", "who", "open"}
    assert step_of(execution).claimed_by == ada
    html = text(client.get(INBOX))
    assert "Claimed by me" in html and f'action="{unclaim}"' in html
    client.post(unclaim, {"back_to": "inbox"})
    assert step_of(execution).claimed_by is None


def test_task_claimed_by_others_has_no_form(client: Client) -> None:
    execution = asking()
    services.claim(execution, node="form", by=create_member("bob"))
    html = text(client.get(INBOX))
    assert "Claimed by bob" in html
    assert url_of(execution) not in html and url_of(execution, "claim") not in html


def test_refused_submission_keeps_what_was_typed(client: Client) -> None:
    execution = asking()
    url, cuid = url_of(execution), step_of(execution).cuid
    services.claim(execution, node="form", by=create_member("bob"))
    sent = {"back_to": "inbox", "query": "q=thing", f"{cuid}-note": "typed before"}
    html = text(client.post(url, sent))
    assert "is claimed by bob." in html
    assert "typed before" in html and 'value="thing"' in html


def test_next_task_is_opened_after_submitting(client: Client) -> None:
    first, taken, second = (asking(deadline=f"P{day}D") for day in (1, 2, 3))
    services.claim(taken, node="form", by=create_member("bob"))
    context = client.get(INBOX).context
    # Somebody else has claimed the task in between.
    assert context["next"] == step_of(second).cuid
    cuid = step_of(first).cuid
    sent = {"back_to": "inbox", "next": context["next"], f"{cuid}-note": "n"}
    response = client.post(url_of(first), sent)
    assert opened_task(response) == step_of(second).cuid
    page = client.get(response["Location"])
    assert [task.is_open for task in page.context["tasks"]] == [False, True]
    assert page.context["next"] == ""


def test_first_task_is_open_beside_the_list(client: Client) -> None:
    first, second, third = (asking(deadline=f"P{day}D") for day in (1, 2, 3))
    html = text(client.get(INBOX))
    assert url_of(first) in html and url_of(second) not in html
    assert "desk-unchosen" in html, "a narrow screen shows the list"
    response = client.get(INBOX, {"open": step_of(second).cuid})
    html = text(response)
    assert url_of(second) in html and url_of(first) not in html
    assert "desk-unchosen" not in html
    cuids = [
        response.context[f"{name}_task"].inbox_url.rpartition("task-")[2]
        for name in ("previous", "next")
    ]
    assert cuids == [step_of(first).cuid, step_of(third).cuid]
    assert 'rel="next" data-key="j"' in html and 'rel="prev" data-key="k"' in html


def test_links_between_tasks_keep_the_filters(client: Client) -> None:
    for _ in range(2):
        asking("Review")
    task = client.get(INBOX, {"q": "rev", "sort": "since"}).context["next_task"]
    query = parse_qs(urlsplit(task.inbox_url).query)
    assert (query["q"], query["sort"]) == (["rev"], ["since"])


def test_open_task_shows_its_data_to_who_may_view_the_entity(client: Client) -> None:
    workflow = WorkflowFactory()
    save_line(workflow, form())
    finding = FindingFactory(
        entity_name_type=workflow.entity_name_type, fields={"severity": "visible-field"}
    )
    for _ in range(3):
        services.start(workflow, finding, variables={"area": "visible-variable"})
    with CaptureQueriesContext(connection) as captured:
        html = text(client.get(INBOX))
    assert "visible-field" in html and "$area" in html and "visible-variable" in html
    assert sum('"variables"' in query["sql"] for query in captured) == 1, "of the open task only"
    hidden = user_with("executions.view_execution", "executions.submit_execution", is_staff=True)
    client.force_login(hidden)
    html = text(client.get(INBOX))
    assert url_of(finding.executions.order_by("pk")[0]) in html
    assert "visible-" not in html


def test_comment_is_added_in_the_inbox(client: Client, ada: Any) -> None:
    execution = asking()
    cuid = step_of(execution).cuid
    url = reverse("admin:executions_execution_comment", args=[execution.pk])
    assert f'action="{url}"' in text(client.get(INBOX))
    sent = {"back_to": "inbox", "query": "q=thing", "step": cuid, "text": "Asked the owner."}
    response = client.post(url, sent)
    assert opened_task(response) == cuid
    assert parse_qs(urlsplit(response["Location"]).query)["q"] == ["thing"]
    comment = Comment.of(execution).get()
    assert (comment.text, comment.step, comment.author) == ("Asked the owner.", cuid, ada)


def test_page_of_execution_links_the_next_task(client: Client) -> None:
    later, first = asking("Later", deadline="P9D"), asking(deadline="P5D")
    taken = asking(deadline="P1D")
    services.claim(taken, node="form", by=create_member("bob"))
    cuid = step_of(first).cuid
    response = client.post(url_of(first), {f"{cuid}-note": "n"})
    link = f"/{later.pk}/change/#step-{step_of(later).cuid}"
    assert any("Next task" in message and link in message for message in list_messages(response))


def test_vote_is_given_in_the_inbox(client: Client, ada: Any) -> None:
    accounts(users=["grace"])
    workflow = WorkflowFactory()
    editing.save_graph(workflow, approval_graph(users=["ada", "grace"], needed=2), based_on=1)
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    execution = services.start(workflow, finding)
    approve = url_of(execution, "approve")
    assert f'formaction="{approve}"' in text(client.get(INBOX))
    after = asking()
    sent = {"back_to": "inbox", "note": "fine", "next": step_of(after).cuid}
    response = client.post(approve, sent)
    assert opened_task(response) == step_of(after).cuid
    (vote,) = step_of(execution).votes.all()
    assert (vote.user, vote.notes) == (ada, "fine")


def test_task_of_another_page_is_listed_when_opened(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from executions.admin import inbox

    monkeypatch.setattr(inbox, "PAGE_SIZE", 1)
    first, second = asking(deadline="P1D"), asking()
    assert tasks(client) == [first.pk]
    assert tasks(client, open=step_of(second).cuid) == [first.pk, second.pk]
    assert tasks(client, open="\0") == tasks(client, open="nothing") == [first.pk]


def test_task_of_a_damaged_version_is_listed_without_form(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = asking(label="Review")
    monkeypatch.setattr("executions.admin.inbox.graphs_of", lambda _versions: {})
    html = text(client.get(INBOX))
    assert "Review" in html
    assert url_of(execution) not in html
