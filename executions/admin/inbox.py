"""The inbox: what waits for whoever looks, with its forms, and what they did lately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms as django_forms
from django.db.models import F
from django.http import HttpRequest, HttpResponse

from executions.admin.steps import INBOX, USER_ACTION, form_of
from executions.engine.manager import graphs_of
from executions.inbox import waiting_for
from executions.models import FOR_PEOPLE, Execution, FormDraft, Step, Vote
from workflows.admin.base.change_list import BoundedPaginator
from workflows.admin.base.formatting import admin_url
from workflows.admin.graph_picture import icon, icon_of
from workflows.graph import Node
from workflows.models import Version

if TYPE_CHECKING:
    from executions.admin.execution import ExecutionAdmin

SHOWN = 20
RELATED = ("execution__workflow", "execution__entity")
WHOLE = ("execution__entity__fields", "input", "output")


@dataclass(frozen=True, slots=True)
class Task:
    """A step that waits: its page, and its form where it takes one."""

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
        """What it is a step of."""
        return self.step.execution


def inbox_page(
    model_admin: ExecutionAdmin,
    request: HttpRequest,
    bound: dict[str, django_forms.Form] | None = None,
) -> HttpResponse:
    """What is due first comes first; ``bound`` has the form that was refused, by its step."""
    bound = bound or {}
    mine = waiting_for(request.user)
    ordered = mine.order_by(F("due_at").asc(nulls_last=True), "pk")
    # Of all that waits only the ids are put in order.
    pages = BoundedPaginator(ordered.values_list("pk", flat=True), SHOWN)
    page = pages.get_page(request.GET.get("p"))
    refused = list(mine.filter(cuid__in=bound).values_list("pk", flat=True)) if bound else []
    ids = list(dict.fromkeys([*refused, *page.object_list]))
    whole = Step.objects.select_related(*RELATED).defer(*WHOLE).in_bulk(ids)
    steps = [whole[pk] for pk in ids if pk in whole]
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
            "title": "Inbox",
            "tasks": tasks,
            "page_of_tasks": page,
            "total": pages.count,
            "has_more": pages.has_more,
            "done": _done(request.user),
            "back_to": INBOX,
        },
    )


def _task(step: Step, node: Node, bound: dict[str, django_forms.Form], draft: Any) -> Task:
    title = node.data.get("title") or node.label
    drawn, page = icon(icon_of(step.type)), admin_url(Execution, "change", step.execution_id)
    url = f"{page}#step-{step.cuid}"
    if step.type != USER_ACTION:
        return Task(step, title, drawn, url)
    return Task(
        step,
        title,
        drawn,
        url,
        bound.get(step.cuid) or form_of(step, node, draft=draft),
        admin_url(Execution, "submit", step.execution_id, step.cuid),
        node.data.get("button_label") or "Submit",
        step.cuid in bound or bool(draft),
        bool(draft),
    )


def _done(user: Any) -> list[dict[str, Any]]:
    """The steps that a user has closed, and the votes given, the newest first."""
    # What follows by itself is closed in the same name.
    own = Step.objects.filter(closed_by=user, type__in=FOR_PEOPLE)
    closed = own.select_related(*RELATED).defer(*WHOLE)
    found: list[dict[str, Any]] = [
        {"step": step, "what": step.get_state_display(), "at": step.closed_at}
        for step in closed.order_by("-pk")[:SHOWN]
    ]
    related = [f"step__{name}" for name in RELATED]
    votes = Vote.objects.filter(user=user).select_related(*related)
    large = ("step__execution__entity__fields", "step__input", "step__output")
    found += [
        {"step": vote.step, "what": "Approved" if vote.approves else "Rejected", "at": vote.at}
        for vote in votes.defer(*large).order_by("-pk")[:SHOWN]
    ]
    # Who has decided a vote has closed its step too.
    newest: dict[int, dict[str, Any]] = {row["step"].pk: row for row in found}
    rows = sorted(newest.values(), key=lambda row: row["at"], reverse=True)[:SHOWN]
    return [
        {**row, "url": admin_url(Execution, "change", row["step"].execution_id)} for row in rows
    ]
