"""The page where several workflows take another type together: tried first, then applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.html import format_html

from workflows import services
from workflows.admin.refused import REFUSING, as_html, refusal_of
from workflows.admin.sections import live_count
from workflows.admin.shown import admin_url, row_id
from workflows.models import FindingType, RecordType, Workflow

if TYPE_CHECKING:
    from workflows.admin.guarded import GuardedAdmin

FINDING, RECORD = "finding", "record"


def _choices() -> list[tuple[str, Any]]:
    def named(prefix: str, model: Any) -> list[tuple[str, str]]:
        return [(f"{prefix}-{pk}", name) for pk, name in model.objects.values_list("pk", "name")]

    return [
        ("", "---------"),
        ("Finding types", named(FINDING, FindingType)),
        ("Record types", named(RECORD, RecordType)),
    ]


class ChangeTypeForm(forms.Form):
    """Which type the workflows are to take, and why."""

    type = forms.ChoiceField(choices=_choices, label="New type")
    why = forms.CharField(
        required=False,
        label="Why",
        widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
        help_text="Kept in the notes of the versions that the change makes.",
    )

    def context(self) -> dict[str, Any]:
        """The chosen type, as the service takes it."""
        kind, _, pk = self.cleaned_data["type"].partition("-")
        if kind == FINDING:
            return {"entity_name_type": FindingType.objects.get(pk=pk)}
        return {"primary_record_type": RecordType.objects.get(pk=pk)}


def _chosen(data: QueryDict) -> list[Any]:
    ids = [row_id(part) for part in data.get("workflows", "").split(",")]
    rows = Workflow.objects.filter(pk__in=[pk for pk in ids if pk is not None]).select_related(
        "entity_name_type", "primary_record_type"
    )
    return list(rows.annotate(live_number=live_count("workflow")).order_by("title", "pk"))


def change_type_page(model_admin: GuardedAdmin, request: HttpRequest) -> HttpResponse:
    """GET chooses and tries, POST applies."""
    if not model_admin.has_change_permission(request):
        raise PermissionDenied
    data = request.POST if request.method == "POST" else request.GET
    chosen = _chosen(data)
    if not chosen:
        model_admin.message_user(request, "No workflow was chosen.", messages.WARNING)
        return HttpResponseRedirect(admin_url(Workflow, "changelist"))
    form = ChangeTypeForm(data if data.get("type") or request.method == "POST" else None)
    refused = None
    is_allowed = False
    if form.is_bound and form.is_valid():
        applies = request.method == "POST"
        try:
            done = services.change_entity_context(
                chosen,
                **form.context(),
                by=request.user,
                why=form.cleaned_data["why"],
                dry_run=not applies,
            )
        except REFUSING as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            refused = as_html(refusal, kind=form.cleaned_data["type"])
        else:
            if applies:
                return _changed(model_admin, request, done)
            is_allowed = True
    return model_admin.render_page(
        request,
        "workflows/admin/together.html",
        {
            "title": "Change finding type together",
            "form": form,
            "chosen": [
                {"row": row, "url": admin_url(row, "change", row.pk), "type": row.context_type}
                for row in chosen
            ],
            "ids": ",".join(str(row.pk) for row in chosen),
            "refused": refused,
            "is_allowed": is_allowed,
            "chosen_type": dict(_flat(form)).get(data.get("type", "")),
        },
        status=200,
    )


def _flat(form: ChangeTypeForm) -> list[tuple[str, str]]:
    groups: Any = form.fields["type"].choices  # type: ignore[attr-defined]
    return [pair for _, pairs in groups if isinstance(pairs, list) for pair in pairs]


def _changed(
    model_admin: GuardedAdmin, request: HttpRequest, done: services.ContextChanged
) -> HttpResponse:
    numbers = {version.workflow_id: version.number for version in done.versions}
    for row in done.workflows:
        if row.pk not in numbers:
            text = format_html("“{}” has this type already.", row)
            model_admin.message_user(request, text, messages.INFO)
            continue
        model_admin.log_change(request, row, f"Type changed to {row.context_type}.")
        text = format_html(
            "“{}” is of the type “{}” now, as of version {}.",
            row,
            row.context_type,
            numbers[row.pk],
        )
        model_admin.message_user(request, text, messages.SUCCESS)
    return HttpResponseRedirect(admin_url(Workflow, "changelist"))
