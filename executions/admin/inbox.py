"""The inbox: the user's open steps beside the form of one of them, and the completed steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django import forms as django_forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext

from executions.admin.decisions import Decision, claim_button, vote_buttons
from executions.admin.execution_details import field_text
from executions.admin.files import unsubmitted_files
from executions.admin.inbox_filters import INBOX, Inbox, inbox_url
from executions.admin.steps import form_of
from executions.engine.form_actions import list_actions
from executions.models import (
    COMMENT,
    FOR_PEOPLE,
    USER_ACTION,
    Execution,
    FormDraft,
    FormFile,
    Step,
    Vote,
    may_view_entity,
)
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
    """An open step with its pages. The open task has its form, or the buttons of its vote."""

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
    is_own: bool = False
    """True if the user has claimed the step."""
    claimer: str = ""
    """The name of another user who has claimed the step."""
    claim: Decision | None = None
    votes: tuple[Decision, ...] = ()
    inbox_url: str = ""
    """The URL of the inbox with this task open."""
    values: tuple[tuple[str, str], ...] = ()
    """The fields of the entity and the variables of the execution, as text."""

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
    values = {**inbox.values, "p": str(page.number) if page.number > 1 else ""}
    current = rows.get(chosen[0]) if chosen else next(iter(steps), None)
    tasks = _tasks(request.user, steps, current, bound, values)
    place = next((number for number, one in enumerate(tasks) if one.is_open), 0)
    return model_admin.render_page(
        request,
        "executions/admin/inbox.html",
        {
            "title": gettext("Inbox"),
            "tasks": tasks,
            "task": tasks[place] if tasks else None,
            "previous_task": tasks[place - 1] if place > 0 else None,
            "next_task": tasks[place + 1] if place + 1 < len(tasks) else None,
            # Sending the form opens the next task that nobody else has claimed.
            "next": next((one.step.cuid for one in tasks[place + 1 :] if not one.claimer), ""),
            # A narrow screen shows the list, or the task that the user has chosen.
            "is_chosen": bool(chosen),
            "comment_url": current
            and request.user.has_perm(COMMENT)
            and admin_url(Execution, "comment", current.execution_id),
            "page_of_tasks": page,
            "total": pages.count,
            "has_more": pages.has_more,
            "done": _completed_steps(request.user),
            "back_to": INBOX,
            "filters": inbox.form,
            "parts": inbox.parts(),
            "is_filtered": inbox.is_filtered,
            "query": inbox_url(values).partition("?")[2],
            "list_url": inbox_url(values),
            "page_urls": {
                "previous": page.has_previous()
                and inbox_url({**inbox.values, "p": str(page.previous_page_number())}),
                "next": page.has_next()
                and inbox_url({**inbox.values, "p": str(page.next_page_number())}),
            },
            "all_url": inbox_url({}),
        },
    )


def _tasks(
    user: Any,
    steps: Sequence[Step],
    current: Step | None,
    bound: Mapping[str, django_forms.Form],
    query: dict[str, str],
) -> list[Task]:
    """Return the tasks of the list; the current one is open, with its form.

    Args:
        query: the filters and the page, for the URLs of the tasks.
    """
    graphs = graphs_of(Version.objects.filter(pk__in={one.execution.version_id for one in steps}))
    drafts = FormDraft.objects.of(user, steps)
    tasks = []
    for step in steps:
        node, draft = _node_of(step, graphs), drafts.get(step.pk)
        task = _task(step, node, user, bool(draft))
        task = replace(task, inbox_url=inbox_url(query, task=step.cuid))
        if step is current:
            files = unsubmitted_files(user, [(step, node)]).get(step.cuid, ())
            task = _open(task, node, user, bound.get(step.cuid), (draft, files))
        tasks.append(task)
    return tasks


def _node_of(step: Step, graphs: Mapping[int, Graph]) -> Node | None:
    """Return the node of a step; None if its version is damaged (check_integrity reports it)."""
    graph = graphs.get(step.execution.version_id)
    try:
        return None if graph is None else graph.node(step.node_id)
    except KeyError:
        return None


def _task(step: Step, node: Node | None, user: Any, has_draft: bool) -> Task:
    title = (node.data.get("title") or node.label) if node else step.label or step.node_id
    is_taken = step.claimed_by not in (None, user)
    return Task(
        step,
        title,
        icon(icon_of(step.type)),
        f"{admin_url(Execution, 'change', step.execution_id)}#step-{step.cuid}",
        has_draft=has_draft,
        claimer=str(step.claimed_by) if is_taken else "",
        is_own=step.claimed_by_id == user.pk,
    )


def _open(
    task: Task,
    node: Node | None,
    user: Any,
    form: django_forms.Form | None,
    saved: tuple[Any, Iterable[FormFile]],
) -> Task:
    """Add the values that the task is about, and its form or the buttons of its vote."""
    step, execution = task.step, task.execution
    task = replace(task, is_open=True, values=_values(execution, user))
    # The claim is checked when the form is sent: its account may have lost the right.
    if node is None or (task.claimer and form is None):
        return task
    task = replace(task, claimer="", claim=claim_button(execution, step, is_own=task.is_own))
    if step.type != USER_ACTION:
        return replace(task, votes=tuple(vote_buttons(execution, step)))
    return replace(
        task,
        form=form or form_of(step, node, draft=saved[0], files=saved[1]),
        submit_url=admin_url(Execution, "submit", step.execution_id, step.cuid),
        button=node.data.get("button_label") or gettext("Submit"),
        actions=list_actions(node.data),
    )


def _values(execution: Execution, user: Any) -> tuple[tuple[str, str], ...]:
    """Return the fields of the entity and the variables, if the user may view the entity."""
    if not may_view_entity(user, execution.entity.entity_name):
        return ()
    large = Execution.objects.filter(pk=execution.pk).values_list("entity__fields", "variables")
    fields, variables = large.get()
    named = [*fields.items(), *((f"${name}", value) for name, value in variables.items())]
    return tuple((name, field_text(value)) for name, value in named)


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
