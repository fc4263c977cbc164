"""The page where an entity is chosen to start a workflow on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString

from executions import services
from executions.models import Entity, Execution
from workflows import guards
from workflows.admin.base.formatting import admin_url, row_id
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING, as_html
from workflows.models import Workflow, call_queries
from workflows.models.pending_change import draining
from workflows.values.moment_fields import MomentField, resolutions

if TYPE_CHECKING:
    from executions.admin.execution import ExecutionAdmin

LISTED = 25


class ScheduleForm(forms.Form):
    """When it is to begin."""

    scheduled_for = MomentField(
        required=False,
        label="Begin at",
        help_text="Empty: now. What it runs is frozen now either way.",
    )


def start_page(model_admin: ExecutionAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """GET searches, POST starts."""
    rows = Workflow.objects.select_related("entity_name_type", "primary_record_type")
    workflow = rows.filter(pk=pk).first()
    if workflow is None:
        raise Http404
    refused, chosen = None, ""
    form = ScheduleForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        chosen = request.POST.get("entity", "")
        pk_chosen = row_id(chosen)
        entity = None if pk_chosen is None else Entity.objects.filter(pk=pk_chosen).first()
        if entity is None:
            model_admin.message_user(request, "Choose an entity first.", messages.ERROR)
        elif form.is_valid():
            try:
                execution = services.start(
                    workflow,
                    entity,
                    by=request.user,
                    scheduled_for=form.cleaned_data["scheduled_for"],
                )
            except REFUSING as error:
                refusal = recorded(error)
                refused = as_html(refusal)
            else:
                for told in resolutions(form):
                    model_admin.message_user(request, told, messages.WARNING)
                return _started(model_admin, request, workflow, execution)
    else:
        refused = _draining(workflow)
    query = request.POST.get("q", request.GET.get("q", "")).strip()
    found = _found(workflow, query)
    return model_admin.render_page(
        request,
        "executions/admin/start.html",
        {
            "title": "Start execution",
            "workflow": workflow,
            "workflow_url": admin_url(Workflow, "change", workflow.pk),
            "refused": refused,
            "q": query,
            "entities": list(found[:LISTED]),
            "total": found.count(),
            "chosen": chosen,
            "form": form,
        },
    )


def _draining(workflow: Workflow) -> SafeString | None:
    """What every start would be refused by now, before anybody has chosen an entity."""
    reached = call_queries.walk([workflow.pk], "callees", "default")
    try:
        guards.refuse_draining(list(draining(reached)))
    except guards.Draining as refusal:
        return as_html(refusal)
    return None


def _found(workflow: Workflow, query: str) -> Any:
    entities = Entity.objects.filter(context_key=workflow.context.key).defer("fields")
    if "\0" in query:
        return entities.none()
    if query:
        entities = entities.filter(Q(title__icontains=query) | Q(cuid=query))
    return entities.order_by("title", "pk")


def _started(
    model_admin: ExecutionAdmin, request: HttpRequest, workflow: Workflow, execution: Execution
) -> HttpResponse:
    model_admin.log_addition(request, execution, f"Started “{workflow}”.")
    status = execution.get_status_display().lower()
    text = format_html("Started “{}”; the execution is {} now.", workflow, status)
    model_admin.message_user(request, text, messages.SUCCESS)
    return HttpResponseRedirect(admin_url(Execution, "change", execution.pk))
