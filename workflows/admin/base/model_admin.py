"""Base classes of the admin pages: guarded edits and read-only rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminTextareaWidget, RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import connections, models, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.admin.base.change_list import (
    BoundedPaginator,
    ListAdmin,
    columns_url,
    list_context,
)
from workflows.admin.base.formatting import admin_url, back_url, link, log_url
from workflows.admin.base.forms import DB, LABELS, EditForm, GuardedForm, ObjectField
from workflows.admin.base.refusals import REFUSING, log_refusal, refusal_html, refusal_of
from workflows.admin.base.submit_once import forget_new_messages, mark_done
from workflows.audit.audited_model import deletion_attempt, save_columns
from workflows.db import locks
from workflows.models import AuditEntry
from workflows.refusals import Refusal

DELETE_SELECTED = "delete_selected"
_REFUSED = "_refused_by_save"
_DELETION = "_deletion"


@dataclass(slots=True)
class _Deletion:
    """A confirmed deletion: its rows, and the refusals found before it is tried."""

    rows: list[Any] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def _deletion_of(request: HttpRequest) -> _Deletion:
    deletion: _Deletion = request.__dict__.setdefault(_DELETION, _Deletion())
    return deletion


def _is_confirmed(request: HttpRequest) -> bool:
    # The list page asks for confirmation by POST, the page of one row by GET.
    is_question = request.POST.get("action") == DELETE_SELECTED and not request.POST.get("post")
    return request.method == "POST" and not is_question


def _log_form_refusal(response: Any, refusal: Refusal | None) -> None:
    page = (getattr(response, "context_data", None) or {}).get("adminform")
    if page is None:
        return
    errors = [error for group in page.form.errors.as_data().values() for error in group]
    # One entry per attempt, although rendering the form again may raise another refusal.
    first = refusal or next((error for error in errors if isinstance(error, Refusal)), None)
    if first is not None:
        log_refusal(first, page.form.instance.attempts)


class EditAdmin(ListAdmin):
    """An admin whose change pages write only changed fields."""

    form = EditForm

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the row. Before a write, lock it and read it again."""
        row = super().get_object(request, object_id, from_field)
        if row is None or request.method != "POST" or not connections[DB].in_atomic_block:
            return row
        self.lock(request, row)
        return super().get_object(request, object_id, from_field)

    def lock(self, request: HttpRequest, row: Model) -> None:
        """Lock a row against other edits until the transaction ends."""
        rows: models.QuerySet[Any] = type(row)._base_manager.select_for_update(no_key=True)
        rows.filter(pk=row.pk).first()

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Return Django's response; mark that of a popup, which is not a redirect, as done."""
        response = super().response_add(request, obj, post_url_continue)
        is_popup = IS_POPUP_VAR in request.POST
        return mark_done(response, admin_url(obj, "change", obj.pk)) if is_popup else response

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Redirect to the page that sent the user here to add a row, or else to the list."""
        back = back_url(request)
        return HttpResponseRedirect(back) if back else super().response_post_save_add(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save a new row, or the changed columns of an existing row."""
        if change and isinstance(form, EditForm):
            save_columns(obj, form.written_columns())
        else:
            super().save_model(request, obj, form, change)


class GuardedAdmin(EditAdmin):
    """Base class for models whose edits may be refused by guards.

    The guards are in the models and services; the admin shows their refusals.
    """

    form = GuardedForm
    list_per_page = 50
    paginator: ClassVar[type[Paginator[Any]]] = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_list_template = "workflows/admin/change_list.html"
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
        """Return the form class with the refusal of the save, if there was one."""
        kwargs["labels"] = {**LABELS, **(kwargs.get("labels") or {})}
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"refusal": getattr(request, _REFUSED, None)})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields. A new record has no values yet that only the system writes."""
        fields = super().get_fields(request, obj)
        given = () if obj is not None else self.get_readonly_fields(request, obj)
        return [name for name in fields if name not in given]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field of a form. It offers no deletion of a row that the record refers to."""
        found: Any = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(found and found.widget, RelatedFieldWidgetWrapper):
            found.widget.can_delete_related = False
        return found

    @admin.display(description=_("ID"), ordering="cuid")
    def public_id(self, row: Any) -> str:
        """Return the cuid, for a column."""
        return str(row.cuid)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show Django's page. A refusal by ``save()`` or by the commit becomes a form error."""
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
            _log_form_refusal(response, refusal)
        return response

    def lock(self, request: HttpRequest, row: Any) -> None:
        """Lock a row before it is written, unless the page only shows a refusal."""
        if getattr(request, _REFUSED, None) is None:
            locks.limit_wait(DB)
            self.lock_row(row)

    def lock_row(self, row: Any) -> None:
        """Lock a row against other edits until the transaction ends."""
        rows = type(row)._base_manager
        locks.lock_rows(rows.all(), [row.pk], locks.Strength.NO_KEY_UPDATE)

    def get_paginator(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        """Return a paginator that joins related rows only for the rows of one page."""
        pages = super().get_paginator(request, queryset, *args, **kwargs)
        related = self.get_list_select_related(request)
        if not isinstance(related, list | tuple) or not related:
            return pages
        # Django's history page uses this method too.
        if isinstance(pages, BoundedPaginator) and queryset.model is self.model:
            pages.full_rows = self.get_queryset(request).select_related(*related)
        return pages

    # Django renders it with a form template, which takes a fifth of the time of a list.
    def action_checkbox(self, obj: Any) -> SafeString:
        """Return the checkbox of a row."""
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select" aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            obj.pk,
            gettext("Select this object for an action - {0}").format(obj),
        )

    def refuse_deletion(self, row: Any) -> None:
        """Raise the refusal of the model's guard if the row cannot be deleted."""

    def is_deletable(self, row: Any) -> bool:
        """Return whether ``refuse_deletion`` accepts it. Override this if that takes locks."""
        try:
            self.refuse_deletion(row)
        except Refusal:
            return False
        return True

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return what Django's confirmation page lists, with guard refusals as protected rows.

        Dependent rows are deleted with a row in every interface. No permission is needed for
        them, and the page shows only their number.
        """
        _, counts, lacking, protected = super().get_deleted_objects(objs, request)
        deletable = [
            format_html("{}: {}", capfirst(self.opts.verbose_name), link(row)) for row in objs
        ]
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
                refused.append({"row": row, "refusal": refusal_html(refusal)})
                if _is_confirmed(request):
                    refusal.attempts = refusal.attempts or [deletion_attempt(row)]
                    _deletion_of(request).refusals.append(refusal)
        if _is_confirmed(request):
            _deletion_of(request).rows = list(objs)
        return deletable, counts, lacking, [*protected, *refused]

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show Django's page. If the deletion is refused, redirect back to it with a message."""
        return self._run_or_refuse(
            request,
            lambda: super(GuardedAdmin, self).delete_view(request, object_id, extra_context),
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the list. A deletion of several rows succeeds or fails as a whole."""
        if request.method == "GET" and self.has_view_permission(request):
            if url := columns_url(request):
                return HttpResponseRedirect(url)
            extra_context = {**list_context(self, request), **(extra_context or {})}
        # Django's action logs before it deletes.
        deleting = request.method == "POST" and request.POST.get("action") == DELETE_SELECTED

        def view() -> Any:
            with transaction.atomic() if deleting else nullcontext():
                return super(GuardedAdmin, self).changelist_view(request, extra_context)

        return self._run_or_refuse(request, view) if request.method == "POST" else view()

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show Django's history of admin actions, with a link to the audit log."""
        row = self.get_object(request, unquote(object_id))
        cuid = getattr(row, "cuid", "")
        has_entries = cuid and AuditEntry.objects.filter(cuid=cuid).exists()
        more = {"log_url": log_url(request, cuid)} if has_entries else {}
        return super().history_view(request, object_id, {**more, **(extra_context or {})})

    def _run_or_refuse(self, request: HttpRequest, view: Callable[[], Any]) -> Any:
        deletion = _deletion_of(request)
        try:
            response = view()
        except REFUSING as error:
            refusal = log_refusal(error, lambda: [deletion_attempt(row) for row in deletion.rows])
        else:
            for found in deletion.refusals:
                log_refusal(found)
            return response
        forget_new_messages(request)
        self.message_refusal(request, refusal)
        return HttpResponseRedirect(request.get_full_path())

    def message_refusal(self, request: HttpRequest, refusal: Refusal) -> None:
        """Show the refusal on the next page."""
        self.message_user(request, refusal_html(refusal), messages.ERROR)

    def require(self, request: HttpRequest, permission: str) -> None:
        """Raise ``PermissionDenied`` unless the user has the permission."""
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
        """Return a custom page with the context of the admin site.

        Args:
            row: the row that the page is about; it is part of the breadcrumbs.
        """
        request.current_app = self.admin_site.name
        full_context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "subtitle": None if row is None else str(row),
            "media": self.media,
            "has_view_permission": self.has_view_permission(request, row),
            **context,
        }
        return TemplateResponse(request, template, full_context, status=status)


class ReadOnlyAdmin(GuardedAdmin):
    """Read-only admin for rows created by the system. Actions have pages of their own."""

    actions: Any = None
    page_template: str
    """The template of the page of one row."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: the system creates the rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: the rows are read-only."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: the rows are kept."""
        return False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show the page of one row. It accepts no POST."""
        may_view = self.has_view_permission(request)
        if object_id is None or request.method not in ("GET", "HEAD") or not may_view:
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            # Django's page shows the message for a missing row.
            return super().changeform_view(request, object_id, form_url, extra_context)
        return self.render_row(request, row)

    def render_row(self, request: HttpRequest, row: Any, **options: Any) -> HttpResponse:
        """Return the page of one row; ``options`` are passed to ``row_context``."""
        context = {"is_own_page": True, **self.row_context(request, row, **options)}
        return self.render_page(request, self.page_template, context, row=row)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Redirect to the page of the row, which shows what happened."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(admin_url(self.model, "change", object_id))

    def row_context(self, request: HttpRequest, row: Any, **options: Any) -> dict[str, Any]:
        """Return the template context of the page of one row."""
        return {"title": str(row)}
