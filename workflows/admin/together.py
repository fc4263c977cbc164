"""The page where several workflows take another type together: tried first, then applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from workflows import services
from workflows.admin.recorded import recorded
from workflows.admin.refused import REFUSING, as_html, refusal_of
from workflows.admin.shown import admin_url, link, live_count, row_id
from workflows.models import CHANGE_CONTEXT, FindingType, RecordType, Workflow
from workflows.refusals import Refusal

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


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying: what it would do, what refuses it, whether it could wait."""

    impact: services.Impact | None = None
    refusal: Refusal | None = None
    could_wait: bool = False
    not_on_hold: Refusal | None = None


def _try(chosen: list[Any], context: dict[str, Any]) -> Tried:
    """Ask what the change would meet now, and where it is refused, when it is drained."""
    try:
        found = services.impact(chosen, services.resolve_context(**context))
    except REFUSING as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        return Tried(refusal=refusal)
    if found.refusal is None:
        return Tried(found)
    try:
        services.change_entity_context(chosen, **context, when="drained", dry_run=True)
    except REFUSING as error:
        known = {found.refusal.code, *(row.code for row in found.refusal.problems)}
        other = refusal_of(error)
        if other is None:
            raise
        return Tried(found, found.refusal, not_on_hold=None if other.code in known else other)
    return Tried(found, found.refusal, could_wait=True)


def change_type_page(model_admin: GuardedAdmin, request: HttpRequest) -> HttpResponse:
    """GET chooses and tries, POST applies or puts on hold."""
    model_admin.require(request, CHANGE_CONTEXT)
    data = request.POST if request.method == "POST" else request.GET
    chosen = _chosen(data)
    if not chosen:
        model_admin.message_user(request, "No workflow was chosen.", messages.WARNING)
        return HttpResponseRedirect(admin_url(Workflow, "changelist"))
    form = ChangeTypeForm(data if data.get("type") or request.method == "POST" else None)
    answer: Refusal | None = None
    tried = Tried()
    if form.is_bound and form.is_valid():
        if request.method == "POST":
            try:
                done = services.change_entity_context(
                    chosen,
                    **form.context(),
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
        tried = _try(chosen, form.context())
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
            "ids": _ids(chosen),
            "chosen_type": dict(_flat(form)).get(data.get("type", "")),
            **_shown(tried, answer, chosen, data.get("type", "")),
        },
    )


def _ids(rows: list[Any]) -> str:
    return ",".join(str(row.pk) for row in rows)


def _shown(tried: Tried, answer: Refusal | None, chosen: list[Any], kind: str) -> dict[str, Any]:
    here = admin_url(Workflow, "change_type", workflows=_ids(chosen), type=kind)

    def html(refusal: Refusal | None) -> SafeString | None:
        return as_html(refusal, kind=kind, here=here) if refusal is not None else None

    refusal = tried.refusal
    says_the_same = answer is not None and refusal is not None and answer.code == refusal.code
    return {
        "not_changed": html(answer),
        "refused": html(None if says_the_same else refusal),
        "not_on_hold": html(tried.not_on_hold),
        "is_allowed": tried.impact is not None and refusal is None,
        "could_wait": tried.could_wait,
        "waits_for": refusal.blockers.total if refusal is not None else 0,
        "versions": tried.impact.versions if tried.impact is not None else [],
        "token": tried.impact.token if tried.impact is not None else "",
    }


def _flat(form: ChangeTypeForm) -> list[tuple[str, str]]:
    groups: Any = form.fields["type"].choices  # type: ignore[attr-defined]
    return [pair for _, pairs in groups if isinstance(pairs, list) for pair in pairs]


def _put_on_hold(
    model_admin: GuardedAdmin, request: HttpRequest, done: services.ContextChanged
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
