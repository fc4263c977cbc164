"""The page that loads example workflows."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext

from workflows.admin.base.formatting import admin_url, link
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal
from workflows.files import ImportRefusal
from workflows.files.examples import NAMES, ExampleClash, load_examples, read_examples
from workflows.models import Workflow

LOAD = (
    "workflows.add_workflow",
    "workflows.add_version",
    "workflows.add_findingtype",
    "workflows.add_recordtype",
)
"""The permissions to create all that an example has."""


def may_load_examples(user: Any) -> bool:
    """Return True if the user may load example workflows."""
    return bool(user.has_perms(LOAD))


def examples_page(model_admin: GuardedAdmin, request: HttpRequest) -> HttpResponse:
    """Show the examples on GET; load the chosen ones on POST.

    Raises:
        PermissionDenied: the user may not create workflows, graphs and types.
    """
    if not may_load_examples(request.user):
        raise PermissionDenied
    if request.method == "POST":
        _load(model_admin, request, request.POST.getlist("name"))
        return HttpResponseRedirect(admin_url(Workflow, "examples"))
    states = read_examples()
    return model_admin.render_page(
        request,
        "workflows/admin/examples.html",
        {
            "title": gettext("Example workflows"),
            "examples": [
                {
                    "name": state.example.name,
                    "title": state.example.title,
                    "summary": state.example.summary,
                    "workflow": state.workflow,
                    "url": state.workflow and admin_url(Workflow, "change", state.workflow.pk),
                    "clash": state.clash,
                }
                for state in states
            ],
            "loadable": [
                state.example.name for state in states if not (state.workflow or state.clash)
            ],
        },
    )


def _load(model_admin: GuardedAdmin, request: HttpRequest, names: list[str]) -> None:
    chosen = [name for name in NAMES if name in names]
    try:
        created = load_examples(chosen, by=request.user)
    except ExampleClash as clash:
        text = gettext("Nothing was loaded. %(reason)s") % {"reason": clash}
        model_admin.message_user(request, text, messages.ERROR)
    except ImportRefusal as error:
        # The import has recorded the refusal.
        model_admin.message_refusal(request, error.refusal)
    except REFUSING as error:
        model_admin.message_refusal(request, log_refusal(error))
    else:
        if not created:
            text = gettext("These examples were loaded before. Nothing was changed.")
            model_admin.message_user(request, text, messages.INFO)
            return
        for row in created:
            model_admin.log_addition(request, row, gettext("Loaded as an example."))
        links = format_html_join(", ", "{}", ((link(row),) for row in created))
        text = format_html(gettext("Loaded: {}."), links)
        model_admin.message_user(request, text, messages.SUCCESS)
