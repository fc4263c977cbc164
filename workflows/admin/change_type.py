"""Pages of the type change: choose the type, preview the change, apply it, see the result."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows import editing
from workflows.admin.base.formatting import (
    admin_url,
    execution_model,
    link,
    live_count,
    log_url,
    row_id,
)
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal, refusal_html, refusal_of
from workflows.models import CHANGE_CONTEXT, FindingType, RecordType, Version, Workflow
from workflows.refusals import Refusal

FINDING, RECORD = "finding", "record"
CANCEL = "executions.change_execution"
_FIELDS: dict[type, str] = {
    FindingType: "entity_name_type",
    RecordType: "primary_record_type",
}


def _type_choices(without: Collection[str] = ()) -> list[tuple[str, Any]]:
    def choices(prefix: str, model: Any) -> list[tuple[str, str]]:
        rows = model.objects.values_list("pk", "name")
        named = [(f"{prefix}-{pk}", name) for pk, name in rows]
        return [choice for choice in named if choice[0] not in without]

    return [
        ("", "---------"),
        (gettext("Finding types"), choices(FINDING, FindingType)),
        (gettext("Record types"), choices(RECORD, RecordType)),
    ]


def _choice_of(workflow: Workflow) -> str:
    """Return the value of the choice of the type that a workflow has."""
    if workflow.entity_name_type_id is not None:
        return f"{FINDING}-{workflow.entity_name_type_id}"
    return f"{RECORD}-{workflow.primary_record_type_id}"


class TypeField(forms.ChoiceField):
    """A finding type or a record type. The choices are read when the field is rendered."""

    def clean(self, value: Any) -> Any:
        """Return the type."""
        text = str(forms.Field.clean(self, value))
        prefix, _separator, number = text.partition("-")
        model: Any = {FINDING: FindingType, RECORD: RecordType}.get(prefix)
        row = model.objects.filter(pk=row_id(number)).first() if model is not None else None
        if row is None:
            message = self.error_messages["invalid_choice"] % {"value": text}
            raise forms.ValidationError(message, code="invalid_choice")
        return row


class ChangeTypeForm(forms.Form):
    """The new type of the workflows, and the reason. A type that all have is not offered."""

    type = TypeField(choices=_type_choices, label=_("New type"))
    why = forms.CharField(
        required=False,
        label=_("Reason"),
        widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
        help_text=_("Added to the notes of the new versions."),
    )

    def __init__(self, chosen: list[Any], data: Any = None) -> None:
        super().__init__(data)
        types = {_choice_of(row) for row in chosen}
        if data is None and len(types) == 1:
            field: Any = self.fields["type"]
            field.choices = lambda: _type_choices(types)


def _chosen_workflows(data: QueryDict) -> list[Any]:
    return _workflows(pk__in=_parse_ids(data.get("workflows", "")))


def _parse_ids(text: str) -> list[int]:
    return [pk for pk in map(row_id, text.split(",")) if pk is not None]


def _workflows(**conditions: Any) -> list[Any]:
    rows = Workflow.objects.filter(**conditions).annotate(live_number=live_count("workflow"))
    return list(
        rows.select_related("entity_name_type", "primary_record_type").order_by("title", "pk")
    )


@dataclass(frozen=True, slots=True)
class Preview:
    """The result of a dry run: the impact of the change and its refusal."""

    impact: editing.Impact | None = None
    refusal: Refusal | None = None

    @property
    def not_on_hold(self) -> Refusal | None:
        """Return why the change cannot be put on hold, unless ``refusal`` says the same."""
        other = self.impact.hold_refusal if self.impact is not None else None
        if other is None or self.refusal is None:
            return other
        known = {self.refusal.code, *(row.code for row in self.refusal.problems)}
        return None if other.code in known else other


def _preview(chosen: list[Any], context: dict[str, Any]) -> Preview:
    """Dry-run the change, both now and when drained."""
    try:
        found = editing.impact(chosen, editing.resolve_context(**context), when="drained")
    except REFUSING as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        return Preview(refusal=refusal)
    return Preview(found, found.refusal)


def change_type_page(model_admin: GuardedAdmin, request: HttpRequest) -> HttpResponse:
    """Choose and preview the type on GET; apply the change or put it on hold on POST."""
    model_admin.require(request, CHANGE_CONTEXT)
    data = request.POST if request.method == "POST" else request.GET
    chosen = _chosen_workflows(data)
    if not chosen:
        model_admin.message_user(request, gettext("Choose a workflow."), messages.WARNING)
        return HttpResponseRedirect(admin_url(Workflow, "changelist"))
    is_bound = data.get("type") or request.method == "POST"
    form = ChangeTypeForm(chosen, data if is_bound else None)
    answer: Refusal | None = None
    preview: Preview | None = None
    chosen_type: FindingType | RecordType | None = None
    if form.is_bound and form.is_valid():
        chosen_type = form.cleaned_data["type"]
        context: dict[str, Any] = {_FIELDS[type(chosen_type)]: chosen_type}
        if request.method == "POST":
            try:
                done = editing.change_entity_context(
                    chosen,
                    **context,
                    by=request.user,
                    why=form.cleaned_data["why"],
                    when="drained" if data.get("when") == "drained" else "now",
                    token=data.get("token") or None,
                )
            except REFUSING as error:
                answer = log_refusal(error)
            else:
                if done.pending is not None:
                    return _put_on_hold(model_admin, request, done)
                return _changed(model_admin, request, done)
        preview = _preview(chosen, context)
    alone = len(chosen) == 1
    return model_admin.render_page(
        request,
        "workflows/admin/change_type.html",
        {
            "title": gettext("Change finding type"),
            "at": 1 if preview is None else 2,
            "form": form,
            "chosen": chosen,
            "rows": _workflow_rows(chosen, preview),
            "ids": _ids(chosen),
            "chosen_type": chosen_type,
            "choose_url": admin_url(Workflow, "change_type", workflows=_ids(chosen)),
            "leave_url": admin_url(chosen[0], "change", chosen[0].pk)
            if alone
            else admin_url(Workflow, "changelist"),
            **(
                _preview_context(request, preview, answer, chosen, data.get("type", ""))
                if preview
                else {}
            ),
        },
        row=chosen[0] if alone else None,
    )


def _workflow_rows(chosen: list[Any], preview: Preview | None) -> list[dict[str, Any]]:
    """Return the chosen workflows and those that must change with them."""
    impact = preview.impact if preview is not None else None
    ids = {row.pk for row in chosen}
    group = {row.cuid for row in impact.group} if impact is not None else set()
    missing = group - {row.cuid for row in chosen}
    others = _workflows(cuid__in=missing) if missing else []
    versions = {row.workflow.pk: row for row in impact.versions} if impact is not None else {}
    return [
        {
            "row": row,
            "url": admin_url(row, "change", row.pk),
            "live_url": admin_url(execution_model(), "changelist", workflow=row.pk, live="yes"),
            "is_chosen": row.pk in ids,
            "version": versions.get(row.pk),
        }
        for row in [*chosen, *others]
    ]


def _ids(rows: list[Any]) -> str:
    return ",".join(str(pk) for pk in sorted(row.pk for row in rows))


def _preview_context(
    request: HttpRequest,
    preview: Preview,
    answer: Refusal | None,
    chosen: list[Any],
    wanted_type: str,
) -> dict[str, Any]:
    here = admin_url(Workflow, "change_type", workflows=_ids(chosen), type=wanted_type)
    may_cancel = request.user.has_perm(CANCEL)

    def html(refusal: Refusal | None) -> SafeString | None:
        if refusal is None:
            return None
        return refusal_html(refusal, wanted_type=wanted_type, here=here, may_cancel=may_cancel)

    refusal = preview.refusal
    is_same = answer is not None and refusal is not None and answer.code == refusal.code
    return {
        "not_changed": html(answer),
        "refused": html(None if is_same else refusal),
        "not_on_hold": html(preview.not_on_hold),
        "is_allowed": preview.impact is not None and refusal is None,
        "could_wait": preview.impact is not None and preview.impact.can_wait,
        "waits_for": refusal.blockers.total if refusal is not None else 0,
        "changes": bool(preview.impact and preview.impact.versions),
        "token": preview.impact.token if preview.impact is not None else "",
    }


def _put_on_hold(
    model_admin: GuardedAdmin, request: HttpRequest, done: editing.ContextChangeResult
) -> HttpResponse:
    pending = done.pending
    assert pending is not None
    # The last blocking execution may have ended in the meantime.
    pending.refresh_from_db()
    for row in done.workflows:
        text = gettext("Type change to %(type)s put on hold.") % {"type": pending.context_type}
        model_admin.log_change(request, row, text)
    may_view = request.user.has_perm("workflows.view_pendingchange")
    more = link(pending, gettext("Open the change on hold")) if may_view else ""
    if pending.state == pending.State.WAITING:
        message = format_html(
            gettext(
                "The change is on hold: {}. It is applied when the live executions have ended."
                " Until then, no new executions start. {}"
            ),
            pending,
            more,
        )
    else:
        message = format_html("{}: {}. {}", pending.get_state_display(), pending, more)
    model_admin.message_user(request, message, messages.SUCCESS)
    page = admin_url(pending, "change", pending.pk)
    return HttpResponseRedirect(page if may_view else admin_url(Workflow, "changelist"))


def _changed(
    model_admin: GuardedAdmin, request: HttpRequest, done: editing.ContextChangeResult
) -> HttpResponse:
    changed = {version.workflow_id for version in done.versions}
    for row in done.workflows:
        if row.pk in changed:
            text = gettext("Type changed to %(type)s.") % {"type": row.context_type}
            model_admin.log_change(request, row, text)
    created = ",".join(str(version.pk) for version in done.versions)
    same = ",".join(str(row.pk) for row in done.workflows if row.pk not in changed)
    return HttpResponseRedirect(admin_url(Workflow, "type_changed", versions=created, same=same))


def type_changed_page(model_admin: GuardedAdmin, request: HttpRequest) -> HttpResponse:
    """Show the result of a type change: each workflow with its new version."""
    model_admin.require(request, CHANGE_CONTEXT)
    related = ("workflow", "entity_name_type", "primary_record_type")
    versions = Version.objects.filter(pk__in=_parse_ids(request.GET.get("versions", "")))
    rows = versions.defer("source").select_related(*related).order_by("workflow__title", "pk")
    may_view = request.user.has_perm("workflows.view_version")
    return model_admin.render_page(
        request,
        "workflows/admin/type_changed.html",
        {
            "title": gettext("Finding type changed"),
            "at": 3,
            "rows": [
                {
                    "version": row,
                    "url": admin_url(row.workflow, "change", row.workflow_id),
                    "version_url": may_view and admin_url(row, "change", row.pk),
                    "log_url": log_url(request, row.workflow.cuid),
                }
                for row in rows
            ],
            "same": [
                {"row": row, "url": admin_url(row, "change", row.pk)}
                for row in _workflows(pk__in=_parse_ids(request.GET.get("same", "")))
            ],
        },
    )
