"""Pages that cancel or restart an execution, with a reason."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import services
from executions.admin.reason_field import ReasonField
from executions.admin.titles import execution_title
from executions.models import Execution
from workflows.admin.base.formatting import admin_url, link
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal


class ReasonForm(forms.Form):
    """The reason for the decision."""

    why = ReasonField(required=False, help_text=_("Shown on the page of the execution."))


def cancel_page(
    model_admin: GuardedAdmin, request: HttpRequest, execution: Execution
) -> HttpResponse:
    """Ask for a reason on GET, cancel the execution on POST."""
    form = ReasonForm(request.POST if request.method == "POST" else None)
    back = HttpResponseRedirect(admin_url(Execution, "change", execution.pk))
    if request.method == "POST" and form.is_valid():
        try:
            services.cancel(execution, by=request.user, why=form.cleaned_data["why"])
        except REFUSING as error:
            refusal = log_refusal(error)
            model_admin.message_refusal(request, refusal)
            return back
        model_admin.log_change(request, execution, gettext("Cancelled."))
        text = format_html(gettext("{} was cancelled."), execution_title(execution))
        model_admin.message_user(request, text, messages.SUCCESS)
        return back
    if not execution.live:
        status = execution.get_status_display().lower()
        text = format_html(gettext("The execution is already {}."), status)
        model_admin.message_user(request, text, messages.WARNING)
        return back
    return model_admin.render_page(
        request,
        "executions/admin/cancel.html",
        {
            "title": gettext("Cancel execution"),
            "subtitle": execution_title(execution),
            "form": form,
            "execution": execution,
            "children": execution.children.live().select_related("workflow"),
            "button": gettext("Cancel execution"),
            "back_url": admin_url(Execution, "change", execution.pk),
        },
        row=execution,
    )


def restart_page(
    model_admin: GuardedAdmin, request: HttpRequest, execution: Execution
) -> HttpResponse:
    """Ask for a reason on GET; on POST, cancel a live execution and start a new one."""
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            restarted = services.restart(execution, by=request.user, why=form.cleaned_data["why"])
        except REFUSING as error:
            model_admin.message_refusal(request, log_refusal(error))
            return HttpResponseRedirect(admin_url(Execution, "change", execution.pk))
        change = gettext("Restarted as %(cuid)s.") % {"cuid": restarted.cuid}
        model_admin.log_change(request, execution, change)
        text = format_html(
            gettext("The execution was restarted. {}"),
            link(execution, gettext("Open the previous execution")),
        )
        model_admin.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(admin_url(Execution, "change", restarted.pk))
    return model_admin.render_page(
        request,
        "executions/admin/cancel.html",
        {
            "title": gettext("Restart execution"),
            "subtitle": execution_title(execution),
            "form": form,
            "execution": execution,
            "children": execution.children.live().select_related("workflow"),
            "is_restart": True,
            "button": gettext("Restart execution"),
            "back_url": admin_url(Execution, "change", execution.pk),
        },
        row=execution,
    )
