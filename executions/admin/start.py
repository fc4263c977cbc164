"""The page that starts a workflow on an entity."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Exists, OuterRef, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import services
from executions.admin.titles import entity_page
from executions.models import Entity, Execution, Finding, InventoryModel
from workflows import guards
from workflows.admin.base.formatting import BACK, admin_url, row_id
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal, refusal_html
from workflows.models import EntityName, PendingWorkflow, Workflow, call_queries
from workflows.models.pending_change import find_draining
from workflows.values.moment_fields import MomentField, list_resolutions

LISTED = 25
OFFERED = 200
"""The number of workflows that the page of an entity offers."""


class ScheduleForm(forms.Form):
    """The time of a scheduled start."""

    scheduled_for = MomentField(
        required=False,
        label=_("Start at"),
        help_text=_(
            "Leave empty to start now. The workflow versions are fixed now in either case."
        ),
    )


def start_page(model_admin: GuardedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Search entities on GET, start an execution on POST.

    Raises:
        Http404: the workflow does not exist.
    """
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
            model_admin.message_user(request, gettext("Choose an entity."), messages.ERROR)
        elif form.is_valid():
            try:
                execution = services.start(
                    workflow,
                    entity,
                    by=request.user,
                    scheduled_for=form.cleaned_data["scheduled_for"],
                )
            except REFUSING as error:
                refusal = log_refusal(error)
                refused = refusal_html(refusal)
            else:
                for text in list_resolutions(form):
                    model_admin.message_user(request, text, messages.WARNING)
                return _started(model_admin, request, workflow, execution)
    else:
        refused = _draining_refusal(workflow)
    query = request.POST.get("q", request.GET.get("q", "")).strip()
    found = _find_entities(workflow, query)
    return model_admin.render_page(
        request,
        "executions/admin/start.html",
        {
            "title": gettext("Start execution"),
            "workflow": workflow,
            "workflow_url": admin_url(Workflow, "change", workflow.pk),
            "refused": refused,
            "q": query,
            "entities": list(found[:LISTED]),
            "total": found.count(),
            "chosen": chosen,
            "form": form,
            "add_url": _add_url(request, workflow),
        },
    )


def start_on_entity(model_admin: GuardedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Start the chosen workflow on an entity on POST, from the page of the entity.

    Raises:
        Http404: the entity does not exist.
    """
    entity = Entity.objects.filter(pk=pk).first()
    if entity is None:
        raise Http404
    back = HttpResponseRedirect(entity_page(entity))
    chosen = row_id(request.POST.get("workflow", ""))
    if request.method != "POST":
        return back
    workflow = None if chosen is None else Workflow.objects.filter(pk=chosen).first()
    if workflow is None:
        model_admin.message_user(request, gettext("Choose a workflow."), messages.ERROR)
        return back
    try:
        execution = services.start(workflow, entity, by=request.user)
    except REFUSING as error:
        model_admin.message_refusal(request, log_refusal(error))
        return back
    return _started(model_admin, request, workflow, execution)


def startable_workflows(entity: Any) -> Any:
    """Return the first active workflows of an entity's type, without those on hold."""
    waiting = PendingWorkflow.objects.filter(workflow=OuterRef("pk"), waiting=True)
    rows = Workflow.objects.filter(context_key=entity.context_key, state=Workflow.State.ACTIVE)
    return rows.exclude(Exists(waiting)).order_by("title", "pk")[:OFFERED]


def _draining_refusal(workflow: Workflow) -> SafeString | None:
    """Return the refusal of every start while a type change is on hold, or None."""
    reached = call_queries.follow_calls([workflow.pk], "callees")
    try:
        guards.refuse_draining(list(find_draining(reached)))
    except guards.Draining as refusal:
        return refusal_html(refusal)
    return None


def _add_url(request: HttpRequest, workflow: Workflow) -> str:
    """Return the URL that adds an entity of the workflow's type and returns to this page."""
    is_finding = workflow.entity_name == EntityName.FINDING
    model: Any = Finding if is_finding else InventoryModel
    if not request.user.has_perm(f"executions.add_{model._meta.model_name}"):
        return ""
    field = "entity_name_type" if is_finding else "primary_record_type"
    context_type = getattr(workflow, f"{field}_id")
    return admin_url(model, "add", **{field: context_type, BACK: request.get_full_path()})


def _find_entities(workflow: Workflow, query: str) -> Any:
    entities = Entity.objects.filter(context_key=workflow.context.key).defer("fields")
    if "\0" in query:
        return entities.none()
    if query:
        entities = entities.filter(Q(title__icontains=query) | Q(cuid=query))
    return entities.order_by("title", "pk")


def _started(
    model_admin: GuardedAdmin, request: HttpRequest, workflow: Workflow, execution: Execution
) -> HttpResponse:
    message = gettext("Started “%(workflow)s”.") % {"workflow": workflow}
    model_admin.log_addition(request, execution, message)
    status = execution.get_status_display().lower()
    text = format_html(gettext("“{}” was started. The execution is {}."), workflow, status)
    model_admin.message_user(request, text, messages.SUCCESS)
    return HttpResponseRedirect(admin_url(Execution, "change", execution.pk))
