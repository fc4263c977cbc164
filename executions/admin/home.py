"""Panels of the home page with work that needs attention.

Each panel shows a few rows, a bounded count and a link to the list. No query counts or sorts all
rows, so the page loads fast however many executions are live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from executions.admin.titles import execution_title, step_title
from executions.models import SUBMIT, Execution, Step
from executions.task_queries import unassigned, waiting_for
from workflows.admin.base.formatting import admin_url, badge
from workflows.admin.graph_diagram import icon
from workflows.db.bounded_count import OVERVIEW_LIMIT, BoundedCount, RowCount, cap_count, count_rows
from workflows.models import PendingChange, Workflow

LISTED = 5
VIEW_EXECUTIONS = "executions.view_execution"


@dataclass(frozen=True, slots=True)
class PanelRow:
    """A row of a panel: a title with its link, and details."""

    title: str
    url: str
    note: str = ""
    badge: SafeString | str = ""
    detail: str = ""
    since: datetime | None = None
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """The first rows of a list, their count, and the URL of the list."""

    name: str
    title: str
    icon: SafeString
    total: RowCount
    rows: list[PanelRow]
    url: str
    empty_text: str
    is_alert: bool = False


def panels_for(user: Any) -> list[Panel]:
    """Return the panels that the user may view."""
    return [panel(user) for permissions, panel in PANELS if user.has_perms(permissions)]


def _tasks(user: Any) -> Panel:
    mine = waiting_for(user)
    return Panel(
        "tasks",
        gettext("Tasks for me"),
        icon("user_action"),
        count_rows(mine, OVERVIEW_LIMIT),
        list(_rows(_most_urgent(mine))),
        admin_url(Execution, "inbox"),
        gettext("No steps are assigned to you or your groups."),
    )


def _incidents(user: Any) -> Panel:
    found = Step.objects.incidents()
    return Panel(
        "incidents",
        gettext("Incidents"),
        icon("warning"),
        count_rows(found, OVERVIEW_LIMIT),
        list(_steps(found.order_by("-execution_id", "-pk"))),
        admin_url(Execution, "changelist", incident="yes"),
        gettext("No incidents."),
        is_alert=True,
    )


def _overdue(user: Any) -> Panel:
    found = Step.objects.overdue()
    return Panel(
        "overdue",
        gettext("Overdue"),
        icon("wait"),
        count_rows(found, OVERVIEW_LIMIT),
        # In the order of the index on overdue steps, the oldest executions first.
        list(_steps(found.order_by("execution_id", "pk"))),
        admin_url(Execution, "changelist", overdue="yes"),
        gettext("No steps are overdue."),
        is_alert=True,
    )


def _unassigned(user: Any) -> Panel:
    found = unassigned()
    return Panel(
        "unassigned",
        gettext("Unassigned"),
        icon("user_action"),
        count_rows(found, OVERVIEW_LIMIT),
        list(_steps(found.order_by("execution_id", "pk"))),
        admin_url(Execution, "changelist", unassigned="yes"),
        gettext("Every step has an active assignee."),
        is_alert=True,
    )


def _most_urgent(steps: QuerySet[Step]) -> list[int]:
    """Return the ids of the first steps: by their deadlines, then those without one."""
    due = steps.filter(due_at__isnull=False).order_by("due_at", "pk")
    ids = list(due.values_list("pk", flat=True)[:LISTED])
    # In the order of the index on assignees.
    rest = steps.filter(due_at=None).order_by("execution_id", "pk")
    return [*ids, *rest.values_list("pk", flat=True)[: LISTED - len(ids)]]


def _steps(steps: QuerySet[Step]) -> Iterator[PanelRow]:
    return _rows(list(steps.values_list("pk", flat=True)[:LISTED]))


def _rows(ids: list[int]) -> Iterator[PanelRow]:
    related = ("execution__workflow", "execution__entity")
    large = (
        *("execution__entity__fields", "execution__passed", "execution__variables"),
        *("input", "output", "passed"),
    )
    found = Step.objects.select_related(*related).defer(*large).in_bulk(ids)
    for step in (found[pk] for pk in ids if pk in found):
        execution = step.execution
        page = admin_url(Execution, "change", execution.pk)
        yield PanelRow(
            step_title(step),
            f"{page}#step-{step.cuid}",
            execution_title(execution),
            detail=(step.incident or {}).get("detail", ""),
            since=step.opened_at,
            due=step.due_at,
        )


def _changes(user: Any) -> Panel:
    state = PendingChange.State
    found = PendingChange.objects.filter(state__in=[state.WAITING, state.NOT_APPLIED])
    related = ("entity_name_type", "primary_record_type")
    # Refused changes come first: they need a person, the others only time.
    rows = found.select_related(*related).prefetch_related("members").order_by("state", "-pk")
    return Panel(
        "changes",
        gettext("Type changes on hold or refused"),
        icon("lock"),
        count_rows(found, OVERVIEW_LIMIT),
        [
            PanelRow(
                gettext("Change to “%(type)s”") % {"type": row.context_type},
                admin_url(row, "change", row.pk),
                ", ".join(f"“{one.title}”" for one in row.members.all()),
                badge(row.state, row.get_state_display()),
                row.reason,
                since=row.settled_at or row.asked_at,
            )
            for row in rows[:LISTED]
        ],
        admin_url(PendingChange, "changelist"),
        gettext("No type changes are on hold."),
        is_alert=found.filter(state=state.NOT_APPLIED).exists(),
    )


def _live(user: Any) -> Panel:
    live = Execution.objects.live()
    own = live.filter(workflow=OuterRef("pk"))
    busy: Any = Workflow.objects.filter(Exists(own)).annotate(live_number=BoundedCount(own))
    return Panel(
        "live",
        gettext("Live executions"),
        icon("workflow"),
        count_rows(live, OVERVIEW_LIMIT),
        [
            PanelRow(
                row.title,
                admin_url(Execution, "changelist", workflow=row.pk, live="yes"),
                badge=badge("active", str(cap_count(row.live_number, OVERVIEW_LIMIT))),
            )
            for row in busy.order_by("-live_number", "title", "pk")[: 2 * LISTED]
        ],
        admin_url(Execution, "changelist", live="yes"),
        gettext("No live executions."),
    )


PANELS: list[tuple[tuple[str, ...], Callable[[Any], Panel]]] = [
    ((SUBMIT, VIEW_EXECUTIONS), _tasks),
    ((VIEW_EXECUTIONS,), _incidents),
    ((VIEW_EXECUTIONS,), _overdue),
    ((VIEW_EXECUTIONS,), _unassigned),
    (("workflows.view_pendingchange",), _changes),
    (("workflows.view_workflow", VIEW_EXECUTIONS), _live),
]
"""The panels in order of urgency, each with the permissions it needs."""
