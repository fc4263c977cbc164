"""The inbox: the user's open steps with their forms, and the recently completed steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django import forms as django_forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext

from executions.admin.decisions import Decision, claim_button, vote_buttons
from executions.admin.files import unsubmitted_files
from executions.admin.inbox_filters import INBOX, Inbox, inbox_url
from executions.admin.steps import form_of
from executions.engine.form_actions import list_actions
from executions.models import FOR_PEOPLE, USER_ACTION, Execution, FormDraft, FormFile, Step, Vote
from executions.workflow_manager import graphs_of
from workflows.admin.base.change_list import BoundedPaginator
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.graph_diagram import icon, icon_of
from workflows.db.json_values import storage_problem
from workflows.graph import Graph, Node
from workflows.models import Version

PAGE_SIZE = 20
RELATED = ("execution__workflow", "execution__entity", "claimed_by")
LARGE_COLUMNS = (
    *("execution__entity__fields", "execution__passed", "execution__variables"),
    *("input", "output", "passed"),
)


@dataclass(frozen=True, slots=True)
class Task:
    """An open step with its page, and its form or the buttons of its vote."""

    step: Step
    title: str
    icon: str
    url: str
    form: django_forms.Form | None = None
    submit_url: str = ""
    button: str = ""
    actions: Sequence[Mapping[str, Any]] = ()
    is_open: bool = False
    has_draft: bool = False
    claimer: str = ""
    """The name of another user who has claimed the step."""
    claim: Decision | None = None
    votes: tuple[Decision, ...] = ()
    next: str = ""
    """The cuid of the task that follows."""

    @property
    def execution(self) -> Execution:
        """Return the execution of the step."""
        return self.step.execution


def inbox_page(
    model_admin: GuardedAdmin,
    request: HttpRequest,
    bound: dict[str, django_forms.Form] | None = None,
) -> HttpResponse:
    """Show the tasks that the filters select, the most urgent first.

    Args:
        bound: the forms with errors, by the cuid of their step.
    """
    bound = bound or {}
    query = QueryDict(request.POST.get("query", "")) if bound else request.GET
    inbox = Inbox(request.user, query)
    # Only the ids are sorted, then the rows of the page are read.
    pages = BoundedPaginator(inbox.tasks().values_list("pk", flat=True), PAGE_SIZE)
    page = pages.get_page(query.get("p"))
    opened = [*bound, *filter(None, [query.get("open")])]
    first = inbox.every.filter(cuid__in=[one for one in opened if not storage_problem(one)])
    chosen = list(first.values_list("pk", flat=True)) if opened else []
    # Forms with errors come first. An open task is shown even if it is on another page.
    ids = list(dict.fromkeys([*(chosen if bound else ()), *page.object_list, *chosen]))
    rows = Step.objects.select_related(*RELATED).defer(*LARGE_COLUMNS).in_bulk(ids)
    steps = [rows[pk] for pk in ids if pk in rows]
    graphs = graphs_of(Version.objects.filter(pk__in={one.execution.version_id for one in steps}))
    drafts = FormDraft.objects.of(request.user, steps)
    nodes = {step.pk: _node_of(step, graphs) for step in steps}
    files = unsubmitted_files(request.user, [(step, nodes[step.pk]) for step in steps])
    following = [*(step.cuid for step in steps[1:]), ""]
    tasks = [
        replace(
            _task(
                step,
                nodes[step.pk],
                request.user,
                bound.get(step.cuid),
                (drafts.get(step.pk), files.get(step.cuid, ())),
            ),
            is_open=step.cuid in opened or step.pk in drafts,
            next=after,
        )
        # An empty page has no task, but one cuid.
        for step, after in zip(steps, following, strict=False)
    ]
    values = {**inbox.values, "p": str(page.number) if page.number > 1 else ""}
    return model_admin.render_page(
        request,
        "executions/admin/inbox.html",
        {
            "title": gettext("Inbox"),
            "tasks": tasks,
            "page_of_tasks": page,
            "total": pages.count,
            "has_more": pages.has_more,
            "done": _completed_steps(request.user),
            "back_to": INBOX,
            "filters": inbox.form,
            "parts": inbox.parts(),
            "is_filtered": inbox.is_filtered,
            "query": inbox_url(values).partition("?")[2],
            "page_urls": {
                "previous": page.has_previous()
                and inbox_url({**inbox.values, "p": str(page.previous_page_number())}),
                "next": page.has_next()
                and inbox_url({**inbox.values, "p": str(page.next_page_number())}),
            },
            "all_url": inbox_url({}),
        },
    )


def _node_of(step: Step, graphs: Mapping[int, Graph]) -> Node | None:
    """Return the node of a step; None if its version is damaged (check_integrity reports it)."""
    graph = graphs.get(step.execution.version_id)
    try:
        return None if graph is None else graph.node(step.node_id)
    except KeyError:
        return None


def _task(
    step: Step,
    node: Node | None,
    user: Any,
    form: django_forms.Form | None,
    saved: tuple[Any, Iterable[FormFile]],
) -> Task:
    page = admin_url(Execution, "change", step.execution_id)
    task = Task(
        step,
        step.label or step.node_id,
        icon(icon_of(step.type)),
        f"{page}#step-{step.cuid}",
        has_draft=bool(saved[0]),
    )
    if node is None:
        return task
    task = replace(task, title=node.data.get("title") or node.label)
    # The claim is checked when the form is sent: its account may have lost the right.
    if step.claimed_by not in (None, user) and form is None:
        return replace(task, claimer=str(step.claimed_by))
    execution = step.execution
    task = replace(task, claim=claim_button(execution, step, is_own=step.claimed_by_id == user.pk))
    if step.type != USER_ACTION:
        return replace(task, votes=tuple(vote_buttons(execution, step)))
    return replace(
        task,
        form=form or form_of(step, node, draft=saved[0], files=saved[1]),
        submit_url=admin_url(Execution, "submit", step.execution_id, step.cuid),
        button=node.data.get("button_label") or gettext("Submit"),
        actions=list_actions(node.data),
    )


def _completed_steps(user: Any) -> list[dict[str, Any]]:
    """Return the steps that a user has closed or voted on, newest first."""
    # Automatic steps that follow are closed in the name of the same user.
    own = Step.objects.filter(closed_by=user, type__in=FOR_PEOPLE)
    closed = own.select_related(*RELATED[:2]).defer(*LARGE_COLUMNS)
    found: list[dict[str, Any]] = [
        {
            "step": step,
            "outcome": step.handle or step.get_state_display(),
            "at": step.closed_at,
        }
        for step in closed.order_by("-pk")[:PAGE_SIZE]
    ]
    related = [f"step__{name}" for name in RELATED[:2]]
    votes = Vote.objects.filter(user=user).select_related(*related)
    large = [f"step__{name}" for name in LARGE_COLUMNS]
    found += [
        {
            "step": vote.step,
            "outcome": gettext("Approved") if vote.approves else gettext("Rejected"),
            "at": vote.at,
        }
        for vote in votes.defer(*large).order_by("-pk")[:PAGE_SIZE]
    ]
    # The last voter has also closed the step.
    newest: dict[int, dict[str, Any]] = {row["step"].pk: row for row in found}
    rows = sorted(newest.values(), key=lambda row: row["at"], reverse=True)[:PAGE_SIZE]
    return [
        {**row, "url": admin_url(Execution, "change", row["step"].execution_id)} for row in rows
    ]
