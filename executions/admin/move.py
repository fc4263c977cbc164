"""Pages that move live executions to another version: one execution, or those of a version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import services
from executions.admin.move_pictures import draw_pictures
from executions.admin.move_plan import PLANNED, MovePlans, read_options
from executions.admin.reason_field import ReasonField
from executions.admin.titles import execution_title
from executions.models import BulkKind, Execution
from executions.services import bulk
from executions.services.moving_many import roots_on_version
from executions.worker import queue
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal
from workflows.db import locks
from workflows.models import Version

TEMPLATE = "executions/admin/move.html"
TITLE = _("Move to another version")
CHECK_AGAIN = _("The plan has changed. Check it, then confirm.")
LISTED_VERSIONS = 500


class MoveForm(forms.Form):
    """The reason for the move."""

    why = ReasonField(help_text=_("Recorded in the audit log."))


def move_context(
    roots: QuerySet[Execution], request: HttpRequest, *, workflow: Any, page: str
) -> dict[str, Any]:
    """Return the context of a page that plans the move of these roots, which share a workflow.

    Args:
        page: the address of the page; the links in its pictures add what they choose.
    """
    # One state of the database, which nobody has to wait for: the page locks nothing.
    with locks.stable_snapshot():
        return _plan(roots, request, workflow, page)


def _plan(
    roots: QuerySet[Execution], request: HttpRequest, workflow: Any, page: str
) -> dict[str, Any]:
    data: Mapping[str, Any] = request.POST if request.method == "POST" else request.GET
    picked = str(data.get("step", ""))
    rows = roots.select_related("version", "workflow", "entity")
    planned = list(rows.defer("version__source", "passed", "variables")[:PLANNED])
    total = len(planned) if len(planned) < PLANNED else roots.count()
    plans = MovePlans(planned, read_options(data), picked)
    versions = workflow.versions.order_by("-number").values_list("number", flat=True)
    return {
        "title": TITLE,
        "plans": plans,
        "total": total,
        "not_planned": total - len(planned),
        "rows": list(plans.rows),
        "pictures": draw_pictures(plans, page, picked),
        "numbers": list(versions[:LISTED_VERSIONS]),
        "options": plans.options,
        "form": MoveForm(data if "_move" in data else None, initial={"why": data.get("why", "")}),
        "is_checked": data.get("token") == plans.token,
        "page": page,
        "action": page,
    }


def move_page(
    model_admin: GuardedAdmin, request: HttpRequest, execution: Execution
) -> HttpResponse:
    """Show the plan for one tree; on POST with ``_move``, move it."""
    back = admin_url(Execution, "change", execution.pk)
    if execution.root_id is not None:
        text = gettext("The child executions are moved with their root.")
        model_admin.message_user(request, text, messages.INFO)
        return HttpResponseRedirect(admin_url(Execution, "move", execution.root_id))
    if not execution.live:
        text = gettext("The execution has ended.")
        model_admin.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(back)
    wants = "_move" in request.POST
    roots = Execution.objects.filter(pk=execution.pk)
    context = move_context(roots, request, workflow=execution.workflow, page=request.path)
    form = context["form"]
    if wants and not context["is_checked"]:
        model_admin.message_user(request, CHECK_AGAIN, messages.WARNING)
    elif wants and form.is_valid():
        plans = context["plans"]
        try:
            moved = services.move(
                execution,
                **plans.options,
                token=plans.plans[0].token,
                why=form.cleaned_data["why"],
                by=request.user,
            )
        except REFUSING as error:
            model_admin.message_refusal(request, log_refusal(error))
            return HttpResponseRedirect(request.path)
        assert moved.version is not None
        text = gettext("The execution was moved to version %(number)s.")
        text %= {"number": moved.version.number}
        model_admin.log_change(request, execution, text)
        model_admin.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(back)
    context |= {"subtitle": execution_title(execution), "back_url": back}
    return model_admin.render_page(request, TEMPLATE, context, row=execution)


def move_version_page(model_admin: GuardedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the plan for the live executions on a version; on POST with ``_move``, move them.

    Raises:
        Http404: the version does not exist.
    """
    version = Version.objects.select_related("workflow").defer("source").filter(pk=pk).first()
    if version is None:
        raise Http404
    roots = roots_on_version(version).filter(workflow=version.workflow)
    wants = "_move" in request.POST
    context = move_context(roots, request, workflow=version.workflow, page=request.path)
    form = context["form"]
    if wants and not context["is_checked"]:
        model_admin.message_user(request, CHECK_AGAIN, messages.WARNING)
    elif wants and form.is_valid():
        try:
            operation = bulk.create_operation(BulkKind.MOVE, roots, by=request.user)
        except REFUSING as error:
            model_admin.message_refusal(request, log_refusal(error))
            return HttpResponseRedirect(request.path)
        return confirm_moves(request, operation, context)
    others = roots_on_version(version).exclude(workflow=version.workflow).count()
    context |= {
        "subtitle": str(version),
        "others": others,
        "back_url": admin_url(Version, "change", version.pk),
    }
    return model_admin.render_page(request, TEMPLATE, context)


def confirm_moves(request: HttpRequest, operation: Any, context: dict[str, Any]) -> HttpResponse:
    """Confirm the moves of an operation, and redirect to its page. Few are made at once."""
    why = context["form"].cleaned_data["why"]
    options = context["plans"].options
    is_confirmed = bulk.confirm(operation, why=why, by=request.user, options=options)
    if is_confirmed and operation.items.count() <= bulk.MAX_IMMEDIATE:
        queue.serve_bulk_after_commit(operation)
    return HttpResponseRedirect(admin_url(operation, "change", operation.pk))
