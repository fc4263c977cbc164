"""Sections of the workflow page below the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from workflows import editing, running
from workflows.admin.audit import history_context
from workflows.admin.base.formatting import admin_url, execution_model, live_count
from workflows.admin.base.refusals import describe
from workflows.admin.graph_sections import calls_around, graph_section
from workflows.editing.impacts import UndecidedChange
from workflows.models import CHANGE_CONTEXT, PendingChange, Version, Workflow
from workflows.models.pending_change import find_draining
from workflows.refusals import Refusal
from workflows.trigger_types import get_trigger_types
from workflows.visibility import OPERATE, may_view

LISTED = 20


@dataclass(frozen=True, slots=True)
class Executions:
    """The first executions of a list, their total, and the URL of the whole list."""

    rows: list[Any]
    total: int
    url: str

    @property
    def is_truncated(self) -> bool:
        """Return True if there are more executions than listed."""
        return self.total > len(self.rows)


def listed_executions(executions: Any, **query: Any) -> Executions:
    """Return the newest of these executions; ``query`` filters the linked list."""
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
    """Return the newest versions with the number of their live executions."""
    rows = workflow.versions.select_related("created_by").defer("source")
    return rows.annotate(live_number=live_count("version")).order_by("-number")[:LISTED]


def _stored_workflow(pk: int) -> Any:
    rows = Workflow.objects.select_related("entity_name_type", "primary_record_type")
    return rows.annotate(live_number=live_count("workflow")).get(pk=pk)


def sections(request: HttpRequest, workflow: Workflow) -> dict[str, Any]:
    """Return the context of the workflow page: its sections and buttons."""
    has_perm = request.user.has_perm
    execution = execution_model()
    # After a refused POST the instance has unsaved values.
    stored: Any = workflow if request.method == "GET" else _stored_workflow(workflow.pk)
    latest: Version = stored.latest_version
    calls = calls_around(stored)
    draining = draining_html(request, workflow)
    may_view_versions = may_view(request.user, Version)
    versions = list(versions_of(workflow)) if may_view_versions else []
    graph = (
        graph_section(
            latest, "workflow", workflow.pk, may_list=has_perm("executions.view_execution")
        )
        if may_view_versions
        else {}
    )
    return {
        "live": may_view(request.user, execution)
        and listed_executions(workflow.executions.live(), workflow=workflow.pk, live="yes"),
        "may_view_versions": may_view_versions,
        "all_executions_url": admin_url(execution, "changelist", workflow=workflow.pk),
        "versions": versions,
        "may_move": has_perm(OPERATE),
        "versions_total": len(versions) if len(versions) < LISTED else workflow.versions.count(),
        "versions_url": admin_url(Version, "changelist", workflow=workflow.pk),
        "callers": calls.callers,
        "callees": calls.callees,
        "calls": calls.diagram,
        "graph_url": has_perm("workflows.add_version") and admin_url(Workflow, "edit", workflow.pk),
        # A workflow has one change on hold at most. The notice about it leads to its page.
        "change_type_url": has_perm(CHANGE_CONTEXT)
        and draining is None
        and admin_url(Workflow, "change_type", workflows=workflow.pk),
        "draining": draining,
        "trigger": trigger_context(request, stored),
        **graph,
        "warnings": may_view_versions and editing.graph_warnings(stored, latest.source),
        "latest_url": has_perm("workflows.view_version") and admin_url(latest, "change", latest.pk),
        "compare_url": has_perm("workflows.view_version")
        and latest.number > 1
        and admin_url(Workflow, "compare", workflow.pk),
        **history_context(request, workflow.cuid, *_cuids_of_changes(workflow)),
        "start_url": has_perm("executions.add_execution")
        and stored.state == Workflow.State.ACTIVE
        and draining is None
        and admin_url(execution, "start", workflow.pk),
    }


def _cuids_of_changes(workflow: Workflow) -> list[str]:
    """Return the cuids of the newest changes on hold of a workflow, settled ones too."""
    changes = PendingChange.objects.filter(members__workflow=workflow.pk).order_by("-pk")
    return list(changes.values_list("cuid", flat=True)[:LISTED])


def draining_html(request: HttpRequest, workflow: Workflow) -> SafeString | None:
    """Return the notice about a pending type change of a workflow, if there is one."""
    waiting = find_draining([workflow.pk]).first()
    if waiting is None:
        return None
    may_view_change = may_view(request.user, PendingChange)
    change = waiting.change
    return render_to_string(
        "workflows/admin/draining_notice.html",
        {"change": change, "url": may_view_change and admin_url(change, "change", change.pk)},
    )


CHANGES = ("change_together", "when_drained")
"""The remedies of a refused type change that are type changes themselves."""


@dataclass(frozen=True, slots=True)
class TypeChangeNotice:
    """The refusal of a type change and the workflows that must change together."""

    refusal: Refusal | None
    group: Sequence[Workflow]

    @property
    def is_needed(self) -> bool:
        """Return True if a type change takes more than choosing another type."""
        return self.refusal is not None or len(self.group) > 1


def type_change_notice(workflow: Workflow) -> TypeChangeNotice:
    """Return what blocks every type change now, and the workflows that must change together."""
    change = UndecidedChange(workflow)
    return TypeChangeNotice(change.refusal(), change.group_rows)


def type_change_notice_html(
    workflow: Workflow, notice: TypeChangeNotice, *, may_change: bool, may_cancel: bool
) -> SafeString:
    """Return the notice beside the type field as HTML.

    Args:
        may_change: whether the user may change the type, or put a change on hold, now.
    """
    if notice.refusal is not None and not may_change:
        of_others = [row for row in notice.refusal.remedies if row.code not in CHANGES]
        notice.refusal.remedies = of_others
    group = ",".join(str(row.pk) for row in notice.group)
    return render_to_string(
        "workflows/admin/type_notice.html",
        {
            "refusal": describe(
                notice.refusal, may_change=may_change, may_cancel=may_cancel, known=notice.group
            )
            if notice.refusal
            else None,
            "others": [
                {"title": row.title, "url": admin_url(row, "change", row.pk)}
                for row in notice.group
                if row.pk != workflow.pk
            ],
            "change_type_url": may_change and admin_url(Workflow, "change_type", workflows=group),
        },
    )


_EXAMPLE = """\
SECRET='the value of {secret}'
BODY='{{"delivery": "an id of your own", "entity": "the cuid of an entity"}}'
AT=$(date +%s)
SIGNED=$(printf '%s' "$AT.{cuid}.$BODY" |
  openssl dgst -sha256 -hmac "$SECRET" -r | cut -d' ' -f1)
curl -X POST -d "$BODY" -H 'Content-Type: application/json' \\
  -H "X-Holdfast-Timestamp: $AT" -H "X-Holdfast-Signature: sha256=$SIGNED" \\
  '{url}'
"""


def trigger_context(request: HttpRequest, workflow: Workflow) -> dict[str, Any]:
    """Return what starts a workflow: a sentence, and an example request for a webhook."""
    trigger = get_trigger_types().get(workflow.trigger)
    data = workflow.trigger_data
    if trigger is None or not isinstance(data, dict) or any(trigger.problems(data)):
        return {
            "summary": gettext("The trigger details are invalid. Nothing starts this workflow.")
        }
    context: dict[str, Any] = {"summary": trigger.describe(data)}
    is_manual = workflow.trigger == Workflow.Trigger.MANUAL
    if workflow.state != Workflow.State.ACTIVE and not is_manual:
        context["inactive"] = gettext(
            "The trigger works only while the workflow is active. Its state is “%(state)s”."
        ) % {"state": workflow.get_state_display()}
    if workflow.trigger == Workflow.Trigger.WEBHOOK:
        url = request.build_absolute_uri(reverse("api:workflow-hook", args=[workflow.cuid]))
        context["url"] = url
        context["example"] = _EXAMPLE.format(secret=data["secret"], cuid=workflow.cuid, url=url)
    if workflow.trigger == Workflow.Trigger.SCHEDULE:
        preview = running.registered.preview_schedule(workflow, request.user)
        context["preview"] = preview
        context["most_counted"] = running.COUNTED
    return context
