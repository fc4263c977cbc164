"""The way to another finding type: choose it, see what it would do, make it or not, and what came
of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from workflows import editing
from workflows.admin.base.formatting import (
    admin_url,
    execution_model,
    link,
    live_count,
    log_url,
    row_id,
)
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING, as_html, refusal_of
from workflows.models import CHANGE_CONTEXT, FindingType, RecordType, Version, Workflow
from workflows.refusals import Refusal

if TYPE_CHECKING:
    from workflows.admin.base.model_admin import GuardedAdmin

FINDING, RECORD = "finding", "record"
CANCEL = "executions.change_execution"
_KEYS: dict[type, str] = {
    FindingType: "entity_name_type",
    RecordType: "primary_record_type",
}


def _choices() -> list[tuple[str, Any]]:
    def named(prefix: str, model: Any) -> list[tuple[str, str]]:
        return [(f"{prefix}-{pk}", name) for pk, name in model.objects.values_list("pk", "name")]

    return [
        ("", "---------"),
        ("Finding types", named(FINDING, FindingType)),
        ("Record types", named(RECORD, RecordType)),
    ]


class TypeField(forms.ChoiceField):
    """A finding type or a record type; all of them are read only where they are shown."""

    def clean(self, value: Any) -> Any:
        """Return the row."""
        text = str(forms.Field.clean(self, value))
        kind, _, number = text.partition("-")
        model: Any = {FINDING: FindingType, RECORD: RecordType}.get(kind)
        row = model.objects.filter(pk=row_id(number)).first() if model is not None else None
        if row is None:
            told = self.error_messages["invalid_choice"] % {"value": text}
            raise forms.ValidationError(told, code="invalid_choice")
        return row


class ChangeTypeForm(forms.Form):
    """Which type the workflows are to take, and why."""

    type = TypeField(choices=_choices, label="New type")
    why = forms.CharField(
        required=False,
        label="Why",
        widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
        help_text="Kept in the notes of the versions that the change makes.",
    )


def _chosen(data: QueryDict) -> list[Any]:
    return _rows(pk__in=_numbers(data.get("workflows", "")))


def _numbers(text: str) -> list[int]:
    return [pk for pk in map(row_id, text.split(",")) if pk is not None]


def _rows(**which: Any) -> list[Any]:
    rows = Workflow.objects.filter(**which).annotate(live_number=live_count("workflow"))
    return list(
        rows.select_related("entity_name_type", "primary_record_type").order_by("title", "pk")
    )


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying: what it would do, and what refuses it."""

    impact: editing.Impact | None = None
    refusal: Refusal | None = None

    @property
    def not_on_hold(self) -> Refusal | None:
        """What refuses to put it on hold, where that is not what refuses it anyway."""
        other = self.impact.not_on_hold if self.impact is not None else None
        if other is None or self.refusal is None:
            return other
        known = {self.refusal.code, *(row.code for row in self.refusal.problems)}
        return None if other.code in known else other


def _try(chosen: list[Any], context: dict[str, Any]) -> Tried:
    """Ask what the change would meet now, and when it is drained."""
    try:
        found = editing.impact(chosen, editing.resolve_context(**context), when="drained")
    except REFUSING as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        return Tried(refusal=refusal)
    return Tried(found, found.refusal)


def change_type_page(model_admin: GuardedAdmin, request: HttpRequest) -> HttpResponse:
    """GET chooses and shows what it would do; POST makes it, or puts it on hold."""
    model_admin.require(request, CHANGE_CONTEXT)
    data = request.POST if request.method == "POST" else request.GET
    chosen = _chosen(data)
    if not chosen:
        model_admin.message_user(request, "No workflow was chosen.", messages.WARNING)
        return HttpResponseRedirect(admin_url(Workflow, "changelist"))
    form = ChangeTypeForm(data if data.get("type") or request.method == "POST" else None)
    answer: Refusal | None = None
    tried: Tried | None = None
    kind: FindingType | RecordType | None = None
    if form.is_bound and form.is_valid():
        kind = form.cleaned_data["type"]
        context: dict[str, Any] = {_KEYS[type(kind)]: kind}
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
                answer = recorded(error)
            else:
                if done.pending is not None:
                    return _put_on_hold(model_admin, request, done)
                return _changed(model_admin, request, done)
        tried = _try(chosen, context)
    alone = len(chosen) == 1
    return model_admin.render_page(
        request,
        "workflows/admin/change_type.html",
        {
            "title": "Change finding type",
            "at": 1 if tried is None else 2,
            "form": form,
            "chosen": chosen,
            "rows": _told(chosen, tried),
            "ids": _ids(chosen),
            "chosen_type": kind,
            "choose_url": admin_url(Workflow, "change_type", workflows=_ids(chosen)),
            "leave_url": admin_url(chosen[0], "change", chosen[0].pk)
            if alone
            else admin_url(Workflow, "changelist"),
            **(_shown(request, tried, answer, chosen, data.get("type", "")) if tried else {}),
        },
        row=chosen[0] if alone else None,
    )


def _told(chosen: list[Any], tried: Tried | None) -> list[dict[str, Any]]:
    """The workflows that were chosen and those that would have to move along."""
    impact = tried.impact if tried is not None else None
    ids = {row.pk for row in chosen}
    group = {row.cuid for row in impact.group} if impact is not None else set()
    missing = group - {row.cuid for row in chosen}
    others = _rows(cuid__in=missing) if missing else []
    given = {row.workflow.pk: row for row in impact.versions} if impact is not None else {}
    return [
        {
            "row": row,
            "url": admin_url(row, "change", row.pk),
            "live_url": admin_url(execution_model(), "changelist", workflow=row.pk, live="yes"),
            "is_chosen": row.pk in ids,
            "version": given.get(row.pk),
        }
        for row in [*chosen, *others]
    ]


def _ids(rows: list[Any]) -> str:
    return ",".join(str(row.pk) for row in rows)


def _shown(
    request: HttpRequest, tried: Tried, answer: Refusal | None, chosen: list[Any], kind: str
) -> dict[str, Any]:
    here = admin_url(Workflow, "change_type", workflows=_ids(chosen), type=kind)
    may_cancel = request.user.has_perm(CANCEL)

    def html(refusal: Refusal | None) -> SafeString | None:
        if refusal is None:
            return None
        return as_html(refusal, kind=kind, here=here, may_cancel=may_cancel)

    refusal = tried.refusal
    says_the_same = answer is not None and refusal is not None and answer.code == refusal.code
    return {
        "not_changed": html(answer),
        "refused": html(None if says_the_same else refusal),
        "not_on_hold": html(tried.not_on_hold),
        "is_allowed": tried.impact is not None and refusal is None,
        "could_wait": tried.impact is not None and tried.impact.could_wait,
        "waits_for": refusal.blockers.total if refusal is not None else 0,
        "changes": bool(tried.impact and tried.impact.versions),
        "token": tried.impact.token if tried.impact is not None else "",
    }


def _put_on_hold(
    model_admin: GuardedAdmin, request: HttpRequest, done: editing.ContextChanged
) -> HttpResponse:
    pending = done.pending
    assert pending is not None
    # Its last blocker may have ended in the same moment.
    pending.refresh_from_db()
    for row in done.workflows:
        change = f"Change of type to {pending.context_type} put on hold."
        model_admin.log_change(request, row, change)
    may_view = request.user.has_perm("workflows.view_pendingchange")
    more = link(pending, "Open the change on hold") if may_view else ""
    if pending.state == pending.State.WAITING:
        text = format_html(
            "On hold: {}. It is made as soon as what runs has ended; until then nothing new"
            " starts. {}",
            pending,
            more,
        )
    else:
        text = format_html("{}: {}. {}", pending.get_state_display(), pending, more)
    model_admin.message_user(request, text, messages.SUCCESS)
    page = admin_url(pending, "change", pending.pk)
    return HttpResponseRedirect(page if may_view else admin_url(Workflow, "changelist"))


def _changed(
    model_admin: GuardedAdmin, request: HttpRequest, done: editing.ContextChanged
) -> HttpResponse:
    changed = {version.workflow_id for version in done.versions}
    for row in done.workflows:
        if row.pk in changed:
            model_admin.log_change(request, row, f"Type changed to {row.context_type}.")
    made = ",".join(str(version.pk) for version in done.versions)
    same = ",".join(str(row.pk) for row in done.workflows if row.pk not in changed)
    return HttpResponseRedirect(admin_url(Workflow, "type_changed", versions=made, same=same))


def type_changed_page(model_admin: GuardedAdmin, request: HttpRequest) -> HttpResponse:
    """What a change of type has done: each workflow with the version that it was given."""
    model_admin.require(request, CHANGE_CONTEXT)
    related = ("workflow", "entity_name_type", "primary_record_type")
    versions = Version.objects.filter(pk__in=_numbers(request.GET.get("versions", "")))
    rows = versions.defer("source").select_related(*related).order_by("workflow__title", "pk")
    may_view = request.user.has_perm("workflows.view_version")
    return model_admin.render_page(
        request,
        "workflows/admin/type_changed.html",
        {
            "title": "Finding type changed",
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
                for row in _rows(pk__in=_numbers(request.GET.get("same", "")))
            ],
        },
    )
