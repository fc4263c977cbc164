"""The inbox: the user's open steps with their forms, and the recently completed steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms as django_forms
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from executions.admin.steps import INBOX, form_of
from executions.models import FOR_PEOPLE, USER_ACTION, Execution, FormDraft, Step, Vote
from executions.task_queries import waiting_for
from executions.workflow_manager import graphs_of
from workflows.admin.base.change_list import BoundedPaginator
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.graph_diagram import icon, icon_of
from workflows.graph import Node
from workflows.models import Version

PAGE_SIZE = 20
RELATED = ("execution__workflow", "execution__entity")
LARGE_COLUMNS = (
    *("execution__entity__fields", "execution__passed"),
    *("input", "output", "passed"),
)


@dataclass(frozen=True, slots=True)
class Task:
    """An open step with its page and its form, if it has one."""

    step: Step
    title: str
    icon: str
    url: str
    form: django_forms.Form | None = None
    submit_url: str = ""
    button: str = ""
    is_open: bool = False
    has_draft: bool = False

    @property
    def execution(self) -> Execution:
        """Return the execution of the step."""
        return self.step.execution


def inbox_page(
    model_admin: GuardedAdmin,
    request: HttpRequest,
    bound: dict[str, django_forms.Form] | None = None,
) -> HttpResponse:
    """Show the inbox, ordered by due time.

    Args:
        bound: the forms with errors, by the cuid of their step.
    """
    bound = bound or {}
    mine = waiting_for(request.user)
    ordered = mine.order_by(F("due_at").asc(nulls_last=True), "pk")
    # Only the ids are sorted, then the rows of the page are read.
    pages = BoundedPaginator(ordered.values_list("pk", flat=True), PAGE_SIZE)
    page = pages.get_page(request.GET.get("p"))
    invalid = list(mine.filter(cuid__in=bound).values_list("pk", flat=True)) if bound else []
    ids = list(dict.fromkeys([*invalid, *page.object_list]))
    rows = Step.objects.select_related(*RELATED).defer(*LARGE_COLUMNS).in_bulk(ids)
    steps = [rows[pk] for pk in ids if pk in rows]
    versions = {step.execution.version_id for step in steps}
    graphs = graphs_of(Version.objects.filter(pk__in=versions))
    drafts = FormDraft.objects.of(request.user, steps)
    tasks = [
        _task(
            step,
            graphs[step.execution.version_id].node(step.node_id),
            bound,
            drafts.get(step.pk),
        )
        for step in steps
    ]
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
        },
    )


def _task(step: Step, node: Node, bound: dict[str, django_forms.Form], draft: Any) -> Task:
    title = node.data.get("title") or node.label
    step_icon, page = icon(icon_of(step.type)), admin_url(Execution, "change", step.execution_id)
    url = f"{page}#step-{step.cuid}"
    if step.type != USER_ACTION:
        return Task(step, title, step_icon, url)
    return Task(
        step,
        title,
        step_icon,
        url,
        bound.get(step.cuid) or form_of(step, node, draft=draft),
        admin_url(Execution, "submit", step.execution_id, step.cuid),
        node.data.get("button_label") or gettext("Submit"),
        step.cuid in bound or bool(draft),
        bool(draft),
    )


def _completed_steps(user: Any) -> list[dict[str, Any]]:
    """Return the steps that a user has closed or voted on, newest first."""
    # Automatic steps that follow are closed in the name of the same user.
    own = Step.objects.filter(closed_by=user, type__in=FOR_PEOPLE)
    closed = own.select_related(*RELATED).defer(*LARGE_COLUMNS)
    found: list[dict[str, Any]] = [
        {"step": step, "outcome": step.get_state_display(), "at": step.closed_at}
        for step in closed.order_by("-pk")[:PAGE_SIZE]
    ]
    related = [f"step__{name}" for name in RELATED]
    votes = Vote.objects.filter(user=user).select_related(*related)
    large = ("step__execution__entity__fields", "step__input", "step__output")
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
