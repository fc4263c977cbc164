"""The page that edits a graph as JSON, based on its latest version."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from workflows import editing
from workflows.admin.base.formatting import (
    admin_url,
    execution_model,
    link,
    live_count,
    pretty_json,
)
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal, refusal_html
from workflows.admin.graph_editor.node_type_help import reference
from workflows.db.json_values import parse_json
from workflows.graph import COMMON_KEYS
from workflows.guards import UNKNOWN_GROUP, UNKNOWN_USER, StaleVersion
from workflows.models import Version, Workflow
from workflows.refusals import Problem, Refusal
from workflows.visibility import OPERATE

MAX_CALLABLE = 50
UNKNOWN_LABEL = _("Allow unknown groups and users")
UNKNOWN_HELP = _(
    "Steps whose groups and users are all unknown stay unassigned until one of them exists."
)


class GraphForm(forms.Form):
    """The JSON text of a graph. The service validates the graph."""

    source = forms.CharField(
        strip=False,
        label=_("Graph"),
        widget=forms.Textarea(attrs={"rows": 32, "class": "graph-source", "spellcheck": "false"}),
    )
    notes = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
        help_text=_("What this version changes. Shown in the list of versions."),
    )
    allow_unknown = forms.BooleanField(required=False, label=UNKNOWN_LABEL, help_text=UNKNOWN_HELP)
    based_on = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    read = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean_source(self) -> Any:
        """Return the parsed JSON."""
        text = self.cleaned_data["source"]
        try:
            return parse_json(text)
        except json.JSONDecodeError as error:
            values = {"line": error.lineno, "column": error.colno, "error": error.msg}
            raise forms.ValidationError(
                gettext("This is not valid JSON (line %(line)s, column %(column)s): %(error)s.")
                % values
            ) from None
        except RecursionError:
            raise forms.ValidationError(gettext("The JSON is nested too deeply.")) from None
        except ValueError as error:
            text = gettext("This is not valid JSON: %(error)s.") % {"error": error}
            raise forms.ValidationError(text) from None


def graph_page(model_admin: GuardedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the source of the latest version on GET, save a new version on POST."""
    model_admin.require(request, "workflows.add_version")
    rows = Workflow.objects.select_related("entity_name_type", "primary_record_type")
    workflow = rows.filter(pk=pk).first()
    if workflow is None:
        raise Http404
    latest: Version = workflow.latest_version
    refusal: Refusal | None = None
    if request.method == "POST":
        form = GraphForm(request.POST)
        if form.is_valid():
            try:
                saved = editing.save_graph(
                    workflow,
                    form.cleaned_data["source"],
                    based_on=form.cleaned_data["based_on"],
                    read=form.cleaned_data["read"],
                    by=request.user,
                    notes=form.cleaned_data["notes"],
                    allow_unknown=form.cleaned_data["allow_unknown"],
                )
            except REFUSING as error:
                refusal = log_refusal(error)
            else:
                return graph_saved(model_admin, request, workflow, saved, "graph")
    else:
        initial = {
            "source": pretty_json(latest.source_with_positions),
            "based_on": latest.number,
            "read": latest.cuid,
        }
        form = GraphForm(initial=initial)
    is_stale, current = isinstance(refusal, StaleVersion), workflow.latest_version
    return model_admin.render_page(
        request,
        "workflows/admin/graph_json.html",
        {
            "title": gettext("Graph as JSON"),
            "editor_url": admin_url(Workflow, "edit", workflow.pk),
            "form": form,
            "workflow": workflow,
            "latest": current,
            "latest_url": admin_url(Version, "change", current.pk),
            # The page names the latest version, so the next save may replace it.
            "read": current.cuid if is_stale else form["read"].value() or "",
            "problems": _problems(refusal),
            "warnings": []
            if request.method == "POST"
            else editing.graph_warnings(workflow, latest.source),
            "unknown_people": has_unknown_people(_problems(refusal)),
            "refused": refusal_html(refusal) if refusal and not _problems(refusal) else None,
            "is_stale": is_stale,
            "node_types": reference(),
            "common_keys": COMMON_KEYS,
            **_callable(workflow),
        },
        row=workflow,
    )


def _problems(refusal: Refusal | None) -> list[Problem]:
    if refusal is None or isinstance(refusal, StaleVersion):
        return []
    return refusal.problems


def has_unknown_people(problems: Iterable[Problem]) -> bool:
    """Return True if a problem is about an unknown group or user."""
    return any(row.code in (UNKNOWN_GROUP, UNKNOWN_USER) for row in problems)


def _callable(workflow: Workflow) -> dict[str, Any]:
    rows = Workflow.objects.filter(context_key=workflow.context.key).exclude(pk=workflow.pk)
    rows = rows.exclude(state=Workflow.State.RETIRED)
    return {
        "callable": [
            {"row": row, "url": admin_url(row, "change", row.pk)}
            for row in rows.order_by("title", "pk")[:MAX_CALLABLE]
        ],
        "callable_total": rows.count(),
    }


def graph_saved(
    model_admin: GuardedAdmin,
    request: HttpRequest,
    workflow: Workflow,
    saved: editing.SavedGraph,
    page: str,
) -> HttpResponse:
    """Add a message about a saved version and redirect to a page of the workflow."""
    version = saved.version
    assert version is not None
    values = {"number": version.number}
    if saved.moved_only:
        change = gettext("The positions of nodes were saved.")
        detail = gettext("Version %(number)s is otherwise unchanged.") % values
    elif saved.created:
        change = gettext("Version %(number)s was saved.") % values
        detail = gettext("Executions of earlier versions continue unchanged.")
    else:
        change = gettext("Version %(number)s was replaced.") % values
        detail = gettext("No execution has used it.")
    model_admin.log_change(request, workflow, change)
    text = format_html("{} {} {}", change, detail, link(version, gettext("Open the version")))
    model_admin.message_user(request, text, messages.SUCCESS)
    _offer_move(model_admin, request, version)
    return HttpResponseRedirect(admin_url(Workflow, page, workflow.pk))


def _offer_move(model_admin: GuardedAdmin, request: HttpRequest, version: Version) -> None:
    """Add a message about the live executions on the version before, which can be moved."""
    before = Version.objects.filter(workflow=version.workflow_id, number__lt=version.number)
    rows = before.defer("source").annotate(live_number=live_count("version"))
    previous: Any = rows.filter(live_number__gt=0).order_by("-number").first()
    if previous is None or not request.user.has_perm(OPERATE):
        return
    text = ngettext(
        "%(number)s live execution runs version %(version)s.",
        "%(number)s live executions run version %(version)s.",
        previous.live_number,
    ) % {"number": previous.live_number, "version": previous.number}
    url = admin_url(execution_model(), "move_version", previous.pk)
    offer = format_html('{} <a href="{}">{}</a>', text, url, gettext("Move to another version…"))
    model_admin.message_user(request, offer, messages.INFO)
