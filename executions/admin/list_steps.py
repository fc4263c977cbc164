"""The current steps of the executions on one page of a list, read in two statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from executions.admin.titles import step_title
from executions.models import Step, StepState
from workflows.admin.base.formatting import DASH, badge, format_moment
from workflows.models import Candidate

MAX_NAMES = 3
"""The number of current steps, and of assignees, that a row shows."""


def attach_steps(rows: Iterable[Any]) -> None:
    """Add ``current_steps`` to each execution, with ``assignee_names`` at each step."""
    executions = list(rows)
    large = ("input", "output", "passed", "notice")
    ids = [row.pk for row in executions if row.live]
    steps = list(Step.objects.open().filter(execution__in=ids).defer(*large)) if ids else []
    names = _assignee_names({step.assignees for step in steps} - {""})
    by_execution: dict[int, list[Step]] = defaultdict(list)
    for step in steps:
        step.assignee_names = names.get(step.assignees, [])  # type: ignore[attr-defined]
        by_execution[step.execution_id].append(step)
    for row in executions:
        row.current_steps = by_execution[row.pk]


def _assignee_names(keys: set[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    if keys:
        rows = Candidate.objects.filter(key__in=keys).select_related("group", "user")
        for row in rows.order_by("pk"):
            found[row.key].append(row.current_name)
    return found


def has_incident(row: Any) -> bool:
    """Return True if a current step of the execution is an incident."""
    return any(step.state == StepState.INCIDENT for step in row.current_steps)


def status_html(row: Any) -> SafeString:
    """Return the status as a badge; an incident and an overdue step have badges of their own."""
    if has_incident(row):
        badges = [badge("incident", gettext("Incident"))]
    else:
        badges = [badge(row.status, row.get_status_display())]
    if any(step.overdue for step in row.current_steps):
        badges.append(badge("failed", gettext("Overdue")))
    return format_html_join(" ", "{}", ((one,) for one in badges))


def incident_text(row: Any) -> str:
    """Return the details of the incidents at the current steps, or a dash."""
    details = [(step.incident or {}).get("detail", "") for step in row.current_steps]
    return _listed([detail for detail in details if detail])


def steps_html(row: Any) -> SafeString | str:
    """Return the current steps, and the stage that the workflow has set."""
    titles = [step_title(step) for step in row.current_steps]
    stage = format_html('<br><span class="quiet">{}</span>', row.stage) if row.stage else ""
    return format_html("{}{}", _listed(titles), stage)


def due_text(row: Any) -> str:
    """Return the earliest time at which a current step is due."""
    due = [step.due_at for step in row.current_steps if step.due_at is not None]
    return format_moment(min(due, default=None))


def assignees_text(row: Any) -> str:
    """Return the names of the groups and users that the current steps are assigned to."""
    names = [name for step in row.current_steps for name in step.assignee_names]
    return _listed(list(dict.fromkeys(names)))


def _listed(names: list[str]) -> str:
    if not names:
        return DASH
    others = [gettext("%(number)s more") % {"number": len(names) - MAX_NAMES}]
    return ", ".join(names if len(names) <= MAX_NAMES else [*names[:MAX_NAMES], *others])
