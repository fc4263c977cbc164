"""What every admin of a guarded model shares: it asks, translates, and never answers 500."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminTextareaWidget, RelatedFieldWidgetWrapper
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import models, transaction
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from workflows.admin.base.change_list import BoundedPaginator, csv_view, list_context
from workflows.admin.base.edits import DB, EditAdmin, EditForm
from workflows.admin.base.formatting import link, log_url, pretty
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING, as_html, refusal_of
from workflows.admin.base.submit_once import forget_new_messages
from workflows.audit.audited_model import deleted
from workflows.db import locks
from workflows.db.json_values import StrictDecoder, kind, unstorable_in
from workflows.models import AuditEntry
from workflows.refusals import Refusal

DELETE_SELECTED = "delete_selected"
_REFUSED = "_refused_by_save"
_DELETION = "_deletion"


class ObjectField(forms.JSONField):
    """A JSON object that both databases can store, indented for people."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["widget"] = forms.Textarea(attrs={"class": "vLargeTextField json", "rows": 6})
        super().__init__(*args, **{**kwargs, "decoder": StrictDecoder})

    def to_python(self, value: Any) -> Any:
        """Return the object."""
        try:
            data = super().to_python(value)
        except RecursionError:
            raise ValidationError("The values are nested too deeply.", code="invalid") from None
        except ValueError as error:
            raise ValidationError(f"This is not JSON: {error}.", code="invalid") from None
        if data in self.empty_values:
            return {} if not isinstance(data, list) else self._refuse(data)
        if not isinstance(data, dict):
            return self._refuse(data)
        if details := [detail for _, detail in unstorable_in(data)]:
            raise ValidationError(details, code="invalid")
        return data

    def _refuse(self, data: object) -> Any:
        raise ValidationError(f"This must be an object, not {kind(data)}.", code="invalid")

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what was typed, letter by letter."""
        return initial if self.disabled or data is None else InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        """Return what stands in the textarea: what was typed, or the value indented."""
        return pretty(value) if isinstance(value, dict) else super().prepare_value(value)


class GuardedForm(EditForm):
    """A form whose errors may be refusals, each shown where it belongs."""

    refusal: ClassVar[Refusal | None] = None
    """What ``save()`` was refused by although the form was clean."""
    held: ClassVar[tuple[str, ...]] = ()
    """The fields that every change of would be refused now."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.held:
            # Only what was not sent is kept as it is: a page that was opened before the field
            # was held sends it, and is answered rather than ignored.
            if name in self.fields and not (self.is_bound and self.add_prefix(name) in self.data):
                self.fields[name].disabled = True
                _without_links(self.fields[name].widget)

    def full_clean(self) -> None:
        """Clean; what the save was refused by stands beside what was typed."""
        super().full_clean()
        if self.is_bound and self.refusal is not None and not self.errors:
            self.add_error(None, ValidationError({NON_FIELD_ERRORS: [self.refusal]}))

    def add_error(self, field: str | None, error: Any) -> None:
        """Put a refusal on the field that it points at, where the form has it."""
        by_field = getattr(error, "error_dict", {}) if field is None else {}
        # What the form has no field for stands above the form.
        unknown = [name for name in by_field if name not in self.fields]
        leaves = [leaf for name in unknown for leaf in by_field.pop(name)]
        refusals = [leaf for leaf in leaves if isinstance(leaf, Refusal)]
        # Where a guard has spoken, the constraint beneath it says the same with less.
        for leaf in refusals or leaves:
            name = _pointed_at(leaf)
            super().add_error(name if name in self.fields else None, leaf)
        if by_field or not hasattr(error, "error_dict"):
            super().add_error(field, error)


def _without_links(widget: forms.Widget) -> None:
    if isinstance(widget, RelatedFieldWidgetWrapper):
        widget.can_add_related = widget.can_change_related = False
        widget.can_delete_related = False


def _pointed_at(error: object) -> str:
    problems = error.problems if isinstance(error, Refusal) else []
    return problems[0].pointer.split("/")[1] if problems and problems[0].pointer else ""


@dataclass(slots=True)
class _Deletion:
    """A deletion that was confirmed: of what, and what refuses it before it is tried."""

    rows: list[Any] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def _asked(request: HttpRequest) -> _Deletion:
    known: _Deletion = request.__dict__.setdefault(_DELETION, _Deletion())
    return known


def _is_confirmed(request: HttpRequest) -> bool:
    # The list asks first, by a POST too; the page of one row asks by a GET.
    asks = request.POST.get("action") == DELETE_SELECTED and not request.POST.get("post")
    return request.method == "POST" and not asks


def _record_form(response: Any, refusal: Refusal | None) -> None:
    page = (getattr(response, "context_data", None) or {}).get("adminform")
    if page is None:
        return
    shown = [error for errors in page.form.errors.as_data().values() for error in errors]
    # One attempt, one entry, although the second look may be refused for another reason.
    first = refusal or next((error for error in shown if isinstance(error, Refusal)), None)
    if first is not None:
        recorded(first, page.form.instance.tried)


class GuardedAdmin(EditAdmin):
    """An admin over guarded rows. It holds no rule; it asks, and shows what is answered."""

    form = GuardedForm
    list_per_page = 50
    paginator: ClassVar[type[Paginator[Any]]] = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_list_template = "workflows/admin/change_list.html"
    csv_columns: ClassVar[dict[str, str]] = {}
    """What the list is as CSV: the names of the columns, and where each is found, by dots."""
    object_history_template = "workflows/admin/object_history.html"
    delete_confirmation_template = "workflows/admin/delete_confirmation.html"
    delete_selected_confirmation_template = "workflows/admin/delete_selected_confirmation.html"
    formfield_overrides: ClassVar[Mapping[Any, Any]] = {
        models.JSONField: {"form_class": ObjectField},
        models.TextField: {"widget": AdminTextareaWidget(attrs={"rows": 3})},
    }

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The form, which knows what its save was refused by."""
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"refusal": getattr(request, _REFUSED, None)})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The stock page; what ``save()`` or the commit refuses comes back as an error in it."""
        refusal = None
        try:
            response = super().changeform_view(request, object_id, form_url, extra_context)
        except REFUSING as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            forget_new_messages(request)
            setattr(request, _REFUSED, refusal)
            response = super().changeform_view(request, object_id, form_url, extra_context)
        if request.method == "POST":
            _record_form(response, refusal)
        return response

    def lock(self, request: HttpRequest, row: Any) -> None:
        """Lock a row that is about to be written, unless its page only tells of a refusal."""
        if getattr(request, _REFUSED, None) is None:
            locks.limit_wait(DB)
            self.lock_row(row)

    def lock_row(self, row: Any) -> None:
        """Lock a row against other edits until the transaction ends."""
        rows = type(row)._base_manager
        locks.lock_rows(rows.all(), [row.pk], locks.Strength.NO_KEY_UPDATE)

    def get_urls(self) -> list[URLPattern]:
        """The rows as CSV before the stock pages."""
        if not self.csv_columns:
            return super().get_urls()
        name = f"{self.opts.app_label}_{self.opts.model_name}_csv"
        return [
            path("csv/", self.admin_site.admin_view(self.csv_view), name=name),
            *super().get_urls(),
        ]

    def csv_view(self, request: HttpRequest) -> HttpResponseBase:
        """All that the filters of the address leave, as CSV."""
        return csv_view(self, request)

    def get_paginator(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        """Pages whose related rows are joined to what a page shows, not to all that is found."""
        pages = super().get_paginator(request, queryset, *args, **kwargs)
        related = self.get_list_select_related(request)
        if not isinstance(related, list | tuple) or not related:
            return pages
        # The stock page of a row's history is paged through here too.
        if isinstance(pages, BoundedPaginator) and queryset.model is self.model:
            pages.whole = self.get_queryset(request).select_related(*related)
        return pages

    # Django renders each through the templates of forms: a fifth of the time of a list.
    def action_checkbox(self, obj: Any) -> SafeString:
        """The checkbox of a row."""
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            obj.pk,
            f"Select this object for an action - {obj}",
        )

    def refuse_deletion(self, row: Any) -> None:
        """Ask the guard of the model; raises its refusal."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What would go along; the guard's refusals stand where Django lists protected rows.

        What belongs to a row goes with it, through every door: nobody needs a permission for
        that, and whoever may not see it is told how many there are, and no more.
        """
        _, counts, lacking, protected = super().get_deleted_objects(objs, request)
        gone = [format_html("{}: {}", capfirst(self.opts.verbose_name), link(row)) for row in objs]
        lacking &= {self.opts.verbose_name}
        refused: list[Any] = []
        for row in objs:
            try:
                with transaction.atomic():
                    self.refuse_deletion(row)
            except REFUSING as error:
                refusal = refusal_of(error)
                if refusal is None:
                    raise
                refused.append({"row": row, "refusal": as_html(refusal)})
                if _is_confirmed(request):
                    refusal.attempts = refusal.attempts or [deleted(row)]
                    _asked(request).refusals.append(refusal)
        if _is_confirmed(request):
            _asked(request).rows = list(objs)
        return gone, counts, lacking, [*protected, *refused]

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The stock page; a deletion that is refused after all leads back to it."""
        return self._or_refused(
            request,
            lambda: super(GuardedAdmin, self).delete_view(request, object_id, extra_context),
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The stock list; a deletion of several rows is made whole or not at all."""
        if request.method == "GET" and self.has_view_permission(request):
            extra_context = {**list_context(self, request), **(extra_context or {})}
        # The stock action logs before it deletes.
        deleting = request.method == "POST" and request.POST.get("action") == DELETE_SELECTED

        def view() -> Any:
            with transaction.atomic() if deleting else nullcontext():
                return super(GuardedAdmin, self).changelist_view(request, extra_context)

        return self._or_refused(request, view) if request.method == "POST" else view()

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The stock page tells of the admin alone; it leads to the log, which tells of all."""
        row = self.get_object(request, unquote(object_id))
        cuid = getattr(row, "cuid", "")
        is_told = cuid and AuditEntry.objects.filter(cuid=cuid).exists()
        more = {"log_url": log_url(request, cuid)} if is_told else {}
        return super().history_view(request, object_id, {**more, **(extra_context or {})})

    def _or_refused(self, request: HttpRequest, view: Callable[[], Any]) -> Any:
        asked = _asked(request)
        try:
            response = view()
        except REFUSING as error:
            refusal = recorded(error, lambda: [deleted(row) for row in asked.rows])
        else:
            for known in asked.refusals:
                recorded(known)
            return response
        forget_new_messages(request)
        self.message_refusal(request, refusal)
        return HttpResponseRedirect(request.get_full_path())

    def message_refusal(self, request: HttpRequest, refusal: Refusal) -> None:
        """Say on the next page what was refused, with its links."""
        self.message_user(request, as_html(refusal), messages.ERROR)

    def redact(self, request: HttpRequest, row: Any) -> Any:
        """Return a row of a list without what this user may not read; all of it where that is all.

        The list as CSV asks for each row.
        """
        return row

    def require(self, request: HttpRequest, permission: str) -> None:
        """Raises ``PermissionDenied`` unless the user has the permission."""
        if not request.user.has_perm(permission):
            raise PermissionDenied

    def render_page(
        self,
        request: HttpRequest,
        template: str,
        context: dict[str, Any],
        *,
        row: Any = None,
        status: int = 200,
    ) -> HttpResponse:
        """A page of the project's own, in the frame of the admin."""
        request.current_app = self.admin_site.name
        whole = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "subtitle": None if row is None else str(row),
            "media": self.media,
            "has_view_permission": self.has_view_permission(request, row),
            **context,
        }
        return TemplateResponse(request, template, whole, status=status)
