"""The page where a graph is edited as JSON, on top of the version that it was drawn from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from workflows import editing
from workflows.admin.base.formatting import admin_url, link, pretty
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING, as_html
from workflows.admin.graph_editor.node_type_help import reference
from workflows.db.json_values import parse_json
from workflows.graph import COMMON_KEYS
from workflows.guards import UNKNOWN_GROUP, UNKNOWN_USER, StaleVersion
from workflows.models import Version, Workflow
from workflows.refusals import Problem, Refusal

if TYPE_CHECKING:
    from workflows.admin.base.model_admin import GuardedAdmin

CALLABLE = 50
UNKNOWN_LABEL = _("Allow unknown groups and users")
UNKNOWN_HELP = _(
    "Steps that ask only unknown groups or users are unassigned until somebody has the name."
)


class GraphForm(forms.Form):
    """The text of a graph; what is in it is judged by the service."""

    source = forms.CharField(
        strip=False,
        label="Graph",
        widget=forms.Textarea(attrs={"rows": 32, "class": "graph-source", "spellcheck": "false"}),
    )
    notes = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
        help_text="What this version changes, for whoever reads its history.",
    )
    allow_unknown = forms.BooleanField(required=False, label=UNKNOWN_LABEL, help_text=UNKNOWN_HELP)
    based_on = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    read = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean_source(self) -> Any:
        """The value that the text spells, where it spells one."""
        text = self.cleaned_data["source"]
        try:
            return parse_json(text)
        except json.JSONDecodeError as error:
            raise forms.ValidationError(
                f"This is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."
            ) from None
        except RecursionError:
            raise forms.ValidationError("The values are nested too deeply.") from None
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}.") from None


def graph_page(model_admin: GuardedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows the latest version's source, POST saves."""
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
                refusal = recorded(error)
            else:
                return graph_saved(model_admin, request, workflow, saved, "graph")
    else:
        shown = {"source": pretty(latest.source), "based_on": latest.number, "read": latest.cuid}
        form = GraphForm(initial=shown)
    is_stale, shown_latest = isinstance(refusal, StaleVersion), workflow.latest_version
    return model_admin.render_page(
        request,
        "workflows/admin/graph.html",
        {
            "title": "Graph as JSON",
            "draw_url": admin_url(Workflow, "edit", workflow.pk),
            "form": form,
            "workflow": workflow,
            "latest": shown_latest,
            "latest_url": admin_url(Version, "change", shown_latest.pk),
            # Who has been told of the latest version may save over it.
            "read": shown_latest.cuid if is_stale else form["read"].value() or "",
            "problems": _problems(refusal),
            "unknown_people": has_unknown_people(_problems(refusal)),
            "refused": as_html(refusal) if refusal and not _problems(refusal) else None,
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
    """Say whether a graph names groups or users that do not exist."""
    return any(row.code in (UNKNOWN_GROUP, UNKNOWN_USER) for row in problems)


def _callable(workflow: Workflow) -> dict[str, Any]:
    rows = Workflow.objects.filter(context_key=workflow.context.key).exclude(pk=workflow.pk)
    rows = rows.exclude(state=Workflow.State.RETIRED)
    return {
        "callable": [
            {"row": row, "url": admin_url(row, "change", row.pk)}
            for row in rows.order_by("title", "pk")[:CALLABLE]
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
    """Say what came of a save, and show this page of the workflow."""
    version = saved.version
    assert version is not None
    if saved.created:
        change = f"Version {version.number} was added"
        detail = "what runs on earlier versions goes on undisturbed"
    else:
        change = f"Version {version.number} was rewritten"
        detail = "nothing has run on it"
    model_admin.log_change(request, workflow, f"Graph saved. {change}.")
    text = format_html("{}: {}. {}", change, detail, link(version, "Open it"))
    model_admin.message_user(request, text, messages.SUCCESS)
    return HttpResponseRedirect(admin_url(Workflow, page, workflow.pk))
