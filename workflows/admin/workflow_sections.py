"""What stands below the settings of a workflow: what runs on it, its versions, its calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from workflows.admin.base.formatting import admin_url, execution_model, live_count
from workflows.admin.base.refusals import describe
from workflows.admin.graph_sections import calls_around, graph_section
from workflows.admin.history import history
from workflows.admin.trigger_summary import starts
from workflows.editing.context_edit import AnyChange
from workflows.models import CHANGE_CONTEXT, PendingChange, Version, Workflow
from workflows.models.pending_change import draining
from workflows.refusals import Refusal
from workflows.visibility import may_view

LISTED = 20


@dataclass(frozen=True, slots=True)
class Executions:
    """The first executions of a list, how many there are, and where the rest is."""

    rows: list[Any]
    total: int
    url: str

    @property
    def is_cut(self) -> bool:
        """Whether there are more than are listed."""
        return self.total > len(self.rows)


def listed_executions(executions: Any, **query: Any) -> Executions:
    """The newest of these executions; ``query`` is what their list is filtered by."""
    rows = executions.select_related("workflow", "version", "entity").defer(
        "version__source", "entity__fields"
    )
    newest = list(rows.order_by("-pk")[:LISTED])
    return Executions(
        newest,
        len(newest) if len(newest) < LISTED else executions.count(),
        admin_url(execution_model(), "changelist", **query),
    )


def versions_of(workflow: Workflow) -> QuerySet[Version]:
    """The newest versions, each with the number of its live executions."""
    rows = workflow.versions.select_related("created_by").defer("source")
    return rows.annotate(live_number=live_count("version")).order_by("-number")[:LISTED]


def _stored(pk: int) -> Any:
    rows = Workflow.objects.select_related("entity_name_type", "primary_record_type")
    return rows.annotate(live_number=live_count("workflow")).get(pk=pk)


def sections(request: HttpRequest, workflow: Workflow) -> dict[str, Any]:
    """What the page of a workflow shows below its settings, and which buttons it has."""
    may = request.user.has_perm
    execution = execution_model()
    # What is stored: a form that was posted may show what was refused.
    stored: Any = workflow if request.method == "GET" else _stored(workflow.pk)
    latest: Version = stored.latest_version
    calls = calls_around(stored)
    may_see_version = may_view(request.user, Version)
    versions = list(versions_of(workflow)) if may_see_version else []
    drawn = (
        graph_section(latest, "workflow", workflow.pk, may_list=may("executions.view_execution"))
        if may_see_version
        else {}
    )
    return {
        "live": may_view(request.user, execution)
        and listed_executions(workflow.executions.live(), workflow=workflow.pk, live="yes"),
        "may_see_versions": may_see_version,
        "all_executions_url": admin_url(execution, "changelist", workflow=workflow.pk),
        "versions": versions,
        "versions_total": len(versions) if len(versions) < LISTED else workflow.versions.count(),
        "versions_url": admin_url(Version, "changelist", workflow=workflow.pk),
        "callers": calls.callers,
        "callees": calls.callees,
        "calls": calls.picture,
        "graph_url": may("workflows.add_version") and admin_url(Workflow, "edit", workflow.pk),
        "change_type_url": may(CHANGE_CONTEXT)
        and admin_url(Workflow, "change_type", workflows=workflow.pk),
        "draining": draining_html(request, workflow),
        "starts": starts(request, stored),
        **drawn,
        "latest_url": may("workflows.view_version") and admin_url(latest, "change", latest.pk),
        "compare_url": may("workflows.view_version")
        and latest.number > 1
        and admin_url(Workflow, "compare", workflow.pk),
        **history(request, workflow.cuid),
        "start_url": may("executions.add_execution") and admin_url(execution, "start", workflow.pk),
    }


def draining_html(request: HttpRequest, workflow: Workflow) -> SafeString | None:
    """The notice that a change of this workflow's type waits, where one does."""
    waiting = draining([workflow.pk]).first()
    if waiting is None:
        return None
    is_shown = may_view(request.user, PendingChange)
    change = waiting.change
    return render_to_string(
        "workflows/admin/draining.html",
        {"change": change, "url": is_shown and admin_url(change, "change", change.pk)},
    )


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would come of a change of type, before anyone tries."""

    refusal: Refusal | None
    group: list[Any]

    @property
    def is_worth_saying(self) -> bool:
        """Whether a change takes more than choosing another type."""
        return self.refusal is not None or len(self.group) > 1


def outlook(workflow: Workflow) -> Outlook:
    """Ask what refuses every change of type now, and who would have to move along."""
    change = AnyChange(workflow, workflow._state.db or "default")
    cuids = [row.cuid for row in change.group()]
    return Outlook(
        change.refusal(), list(Workflow.objects.filter(cuid__in=cuids).order_by("title", "pk"))
    )


def outlook_html(
    workflow: Workflow, found: Outlook, *, may_change: bool, may_cancel: bool
) -> SafeString:
    """The notice that stands beside the finding type."""
    group = ",".join(str(row.pk) for row in found.group)
    return render_to_string(
        "workflows/admin/outlook.html",
        {
            "refusal": describe(found.refusal, may_change=may_change, may_cancel=may_cancel)
            if found.refusal
            else None,
            "others": [
                {"title": row.title, "url": admin_url(row, "change", row.pk)}
                for row in found.group
                if row.pk != workflow.pk
            ],
            "change_type_url": may_change and admin_url(Workflow, "change_type", workflows=group),
        },
    )
