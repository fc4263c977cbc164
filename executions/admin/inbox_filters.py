"""The filters, the order and the counts of the inbox. They are kept in the URL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext_lazy as _

from executions.admin.titles import step_title
from executions.models import Execution, Step
from executions.task_queries import waiting_for
from workflows.admin.base.formatting import admin_url
from workflows.db import clock
from workflows.db.bounded_count import (
    COUNT_LIMIT,
    OVERVIEW_LIMIT,
    RowCount,
    count_rows,
    ids_or_query,
)
from workflows.models import Candidate, FindingType, Workflow

OPTIONS = 100
"""The number of workflows and of finding types that can be chosen."""
INBOX = "inbox"
"""The value of ``back_to`` in forms on the inbox page."""


def _mine(user: Any) -> Q:
    keys = Candidate.objects.filter(user=user, version__in_force=True).order_by()
    return Q(assignees__in=keys.values("key")) | Q(claimed_by=user)


def _of_groups(user: Any) -> Q:
    groups = user.groups.order_by().values("pk")
    keys = Candidate.objects.filter(group__in=groups, version__in_force=True).order_by()
    return Q(assignees__in=keys.values("key"))


WHO: dict[str, tuple[str | Promise, Callable[[Any], Q]]] = {
    "": (_("All"), lambda _user: Q()),
    "me": (_("Assigned to me"), _mine),
    "groups": (_("My groups"), _of_groups),
    "claimed": (_("Claimed by me"), lambda user: Q(claimed_by=user)),
    "unclaimed": (_("Not claimed"), lambda _user: Q(claimed_by=None)),
}
"""The parts of the inbox with their titles."""

DUE: dict[str, str | Promise] = {
    "": _("Any deadline"),
    "overdue": _("Overdue"),
    "today": _("Due today"),
    "week": _("Due in seven days"),
    "none": _("Without deadline"),
}
SORT: dict[str, str | Promise] = {
    "": _("Most urgent first"),
    "since": _("Oldest first"),
    "-since": _("Newest first"),
}


class InboxFilters(forms.Form):
    """The filters of the inbox. Invalid values are ignored."""

    q = forms.CharField(
        label=_("Search"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    workflow = forms.ChoiceField(label=_("Workflow"), required=False)
    type = forms.ChoiceField(label=_("Finding type"), required=False)
    due = forms.ChoiceField(label=_("Deadline"), required=False, choices=[*DUE.items()])
    sort = forms.ChoiceField(label=_("Order"), required=False, choices=[*SORT.items()])
    who = forms.ChoiceField(
        required=False,
        choices=[(name, title) for name, (title, _q) in WHO.items()],
        widget=forms.HiddenInput,
    )


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the inbox with its number of tasks and its URL."""

    title: str | Promise
    url: str
    total: RowCount
    is_current: bool


class Inbox:
    """The tasks of a user, as the filters in the URL select and order them."""

    def __init__(self, user: Any, query: Any) -> None:
        self.user = user
        self.every = waiting_for(user)
        self.form = InboxFilters(query, auto_id="filter_%s")
        workflows = self._workflows().only("title", "cuid", "entity_name_type")
        types = FindingType.objects.filter(
            pk__in={row.entity_name_type_id for row in workflows} - {None}
        )
        fields: Any = self.form.fields
        fields["workflow"].choices = _options(workflows)
        fields["type"].choices = _options(types)
        self.form.is_valid()
        self.values: dict[str, str] = {
            name: value for name, value in self.form.cleaned_data.items() if value
        }

    def _workflows(self) -> QuerySet[Workflow]:
        """Return the workflows of all tasks."""
        steps = ids_or_query(self.every, OVERVIEW_LIMIT)
        if isinstance(steps, list):
            executions = Execution.objects.filter(steps__in=steps).order_by()
            found = Workflow.objects.filter(pk__in=executions.values("workflow"))
        else:
            # One lookup for each workflow, of its first task; a join would read all tasks.
            first = steps.filter(
                execution__workflow=OuterRef("pk"), execution__live_key__isnull=False
            )
            found = Workflow.objects.annotate(task=Subquery(first[:1])).filter(task__isnull=False)
        return found.order_by("title", "pk")

    @property
    def is_filtered(self) -> bool:
        """Return True if a filter is set; the order is none."""
        return bool(self.values.keys() - {"sort"})

    def tasks(self) -> QuerySet[Step]:
        """Return the tasks in their order."""
        steps = self._matching.filter(self._who(self.values.get("who", "")))
        order: tuple[Any, ...] = {
            "since": ("opened_at", "pk"),
            "-since": ("-opened_at", "-pk"),
        }.get(self.values.get("sort", ""), (F("due_at").asc(nulls_last=True), "pk"))
        return steps.order_by(*order)

    def _who(self, name: str) -> Q:
        return WHO[name][1](self.user)

    @cached_property
    def _matching(self) -> QuerySet[Step]:
        """The tasks that match all filters but the part."""
        steps, values = self.every, self.values
        for word in values.get("q", "").split():
            steps = steps.filter(
                Q(label__icontains=word)
                | Q(execution__workflow__title__icontains=word)
                | Q(execution__entity__title__icontains=word)
            )
        if "q" in values:
            # Read once; the list and each count would search again.
            steps = Step.objects.filter(pk__in=ids_or_query(steps, COUNT_LIMIT))
        if "workflow" in values:
            steps = steps.filter(execution__workflow=int(values["workflow"]))
        if "type" in values:
            # The workflow of a live execution has the type of its entity; an index on live
            # executions finds it.
            steps = steps.filter(
                execution__workflow__entity_name_type=int(values["type"]),
                execution__live_key__isnull=False,
            )
        if "due" in values:
            steps = steps.filter(_due(values["due"]))
        return steps

    def parts(self) -> list[Part]:
        """Return the parts of the inbox, each with the number of tasks that match the filters."""
        matching, current = self._matching, self.values.get("who", "")
        return [
            Part(
                title,
                inbox_url({**self.values, "who": name}),
                count_rows(matching.filter(self._who(name)), OVERVIEW_LIMIT),
                name == current,
            )
            for name, (title, _q) in WHO.items()
        ]


def _options(rows: QuerySet[Any]) -> list[tuple[str, Any]]:
    return [("", _("All")), *((str(row.pk), str(row)) for row in rows[:OPTIONS])]


def _due(name: str) -> Q:
    if name == "overdue":
        return Q(overdue=True)
    if name == "none":
        return Q(due_at=None)
    now = clock.now()
    if name == "week":
        return Q(due_at__lt=now + timedelta(days=7))
    tomorrow = timezone.localtime(now).date() + timedelta(days=1)
    return Q(due_at__lt=timezone.make_aware(datetime.combine(tomorrow, time())))


def inbox_url(values: dict[str, str], *, task: str = "") -> str:
    """Return the URL of the inbox with these filters.

    Args:
        task: the cuid of a task to open.
    """
    query = QueryDict(mutable=True)
    query.update({name: value for name, value in values.items() if value})
    if task:
        query["open"] = task
    text = f"?{query.urlencode()}" if query else ""
    return f"{admin_url(Execution, 'inbox')}{text}" + (f"#task-{task}" if task else "")


def back_to_inbox(request: HttpRequest, *, task: str = "") -> str | None:
    """Return the URL of the inbox that sent a form, with its filters; None for another page.

    Args:
        task: the cuid of a task to open.
    """
    if request.POST.get("back_to") != INBOX:
        return None
    sent = QueryDict(request.POST.get("query", "")[:2_000])
    known = [*InboxFilters.base_fields, "p"]
    return inbox_url({name: sent[name] for name in known if sent.get(name)}, task=task)


def next_task(user: Any) -> tuple[str, str] | None:
    """Return the title and the URL of the user's most urgent task that nobody else has claimed."""
    free = waiting_for(user).filter(Q(claimed_by=None) | Q(claimed_by=user))
    step = free.order_by(F("due_at").asc(nulls_last=True), "pk").first()
    if step is None:
        return None
    page = admin_url(Execution, "change", step.execution_id)
    return step_title(step), f"{page}#step-{step.cuid}"
