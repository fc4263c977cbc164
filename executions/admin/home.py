"""What needs someone now: a few of each, how many there are, and where the rest is.

Nothing here is counted to its end or sorted whole: a home page has to be there at once, however
much is running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from executions.inbox import unassigned, waiting_for
from executions.models import SUBMIT, Execution, Step
from workflows.admin.base.formatting import admin_url, badge
from workflows.admin.graph_picture import icon
from workflows.db.bounded_count import AT_A_GLANCE, BoundedCount, Counted, counted, up_to
from workflows.models import PendingChange, Workflow

LISTED = 5
SEE_EXECUTIONS = "executions.view_execution"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that needs somebody: its page, and what tells it from the others."""

    title: str
    url: str
    note: str = ""
    badge: SafeString | str = ""
    detail: str = ""
    since: datetime | None = None
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """The first things of one kind, how many there are, and the list of them all."""

    name: str
    title: str
    icon: SafeString
    total: Counted
    rows: list[Row]
    url: str
    nothing: str
    is_alarming: bool = False


def needed(user: Any) -> list[Section]:
    """What this user may see of all that needs someone."""
    return [section(user) for permissions, section in SECTIONS if user.has_perms(permissions)]


def _tasks(user: Any) -> Section:
    mine = waiting_for(user)
    return Section(
        "tasks",
        "Waits for me",
        icon("user_action"),
        counted(mine, AT_A_GLANCE),
        # In the order of the index of who is asked.
        list(_steps(mine.order_by("execution_id", "pk"))),
        admin_url(Execution, "inbox"),
        "Nothing waits for you or your groups.",
    )


def _incidents(user: Any) -> Section:
    found = Step.objects.incidents()
    return Section(
        "incidents",
        "Incidents",
        icon("warning"),
        counted(found, AT_A_GLANCE),
        list(_steps(found.order_by("-execution_id", "-pk"))),
        admin_url(Execution, "changelist", incident="yes"),
        "Nothing has failed.",
        is_alarming=True,
    )


def _overdue(user: Any) -> Section:
    found = Step.objects.overdue()
    return Section(
        "overdue",
        "Overdue",
        icon("wait"),
        counted(found, AT_A_GLANCE),
        # In the order of the index of what is overdue: the oldest executions first.
        list(_steps(found.order_by("execution_id", "pk"))),
        admin_url(Execution, "changelist", overdue="yes"),
        "No deadline has passed.",
        is_alarming=True,
    )


def _unassigned(user: Any) -> Section:
    found = unassigned()
    return Section(
        "unassigned",
        gettext("Unassigned"),
        icon("user_action"),
        counted(found, AT_A_GLANCE),
        list(_steps(found.order_by("execution_id", "pk"))),
        admin_url(Execution, "changelist", unassigned="yes"),
        gettext("Every step has somebody who can do it."),
        is_alarming=True,
    )


def _steps(steps: QuerySet[Step]) -> Iterator[Row]:
    related = ("execution__workflow", "execution__entity")
    whole = ("execution__entity__fields", "input", "output")
    ids = list(steps.values_list("pk", flat=True)[:LISTED])
    found = Step.objects.select_related(*related).defer(*whole).in_bulk(ids)
    for step in (found[pk] for pk in ids if pk in found):
        execution = step.execution
        page = admin_url(Execution, "change", execution.pk)
        yield Row(
            step.label or step.node_id,
            f"{page}#step-{step.cuid}",
            f"{execution.workflow} on “{execution.entity}”",
            detail=(step.incident or {}).get("detail", ""),
            since=step.opened_at,
            due=step.due_at,
        )


def _changes(user: Any) -> Section:
    state = PendingChange.State
    found = PendingChange.objects.filter(state__in=[state.WAITING, state.NOT_APPLIED])
    related = ("entity_name_type", "primary_record_type")
    # What could not be made comes first: it waits for somebody, not for what runs.
    rows = found.select_related(*related).prefetch_related("members").order_by("state", "-pk")
    return Section(
        "changes",
        "Changes on hold and refused",
        icon("lock"),
        counted(found, AT_A_GLANCE),
        [
            Row(
                f"To {row.context_type}",
                admin_url(row, "change", row.pk),
                ", ".join(f"“{one.title}”" for one in row.members.all()),
                badge(row.state, row.get_state_display()),
                row.reason,
                since=row.settled_at or row.asked_at,
            )
            for row in rows[:LISTED]
        ],
        admin_url(PendingChange, "changelist"),
        "No change waits, and none was refused.",
        is_alarming=found.filter(state=state.NOT_APPLIED).exists(),
    )


def _live(user: Any) -> Section:
    live = Execution.objects.live()
    own = live.filter(workflow=OuterRef("pk"))
    busy: Any = Workflow.objects.filter(Exists(own)).annotate(live_number=BoundedCount(own))
    return Section(
        "live",
        "Live executions",
        icon("workflow"),
        counted(live, AT_A_GLANCE),
        [
            Row(
                row.title,
                admin_url(Execution, "changelist", workflow=row.pk, live="yes"),
                badge=badge("active", str(up_to(row.live_number, AT_A_GLANCE))),
            )
            for row in busy.order_by("-live_number", "title", "pk")[: 2 * LISTED]
        ],
        admin_url(Execution, "changelist", live="yes"),
        "Nothing is running.",
    )


SECTIONS: list[tuple[tuple[str, ...], Callable[[Any], Section]]] = [
    ((SUBMIT, SEE_EXECUTIONS), _tasks),
    ((SEE_EXECUTIONS,), _incidents),
    ((SEE_EXECUTIONS,), _overdue),
    ((SEE_EXECUTIONS,), _unassigned),
    (("workflows.view_pendingchange",), _changes),
    (("workflows.view_workflow", SEE_EXECUTIONS), _live),
]
"""What each section takes to be seen, in the order of their urgency for whoever looks."""
