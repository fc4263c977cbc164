"""Pages that add, rename, share and delete saved filters of lists."""

from __future__ import annotations

from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.admin.base.change_list import list_name
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.forms import EditForm
from workflows.admin.base.model_admin import EditAdmin, GuardedAdmin
from workflows.models import SHARE_FILTERS, SavedFilter
from workflows.templatetags.admin_lists import list_title


class SavedFilterForm(EditForm):
    """The form of a saved filter. The link to the page provides the list and its query."""

    user: Any = None
    lists: dict[str, Any] = {}

    class Meta:
        model = SavedFilter
        fields = ["name", "shared", "list", "query"]
        widgets = {
            "list": forms.HiddenInput,
            "query": forms.HiddenInput,
            "name": forms.TextInput(attrs={"class": "vTextField"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        query = str(self["query"].value() or "") if "query" in self.fields else ""
        if "name" in self.fields and query:
            # Django renders help texts unescaped.
            self.fields["name"].help_text = format_html(gettext("Filter: {}"), _query_text(query))

    def clean_list(self) -> str:
        """Raise a validation error for an unknown list or one the user may not view."""
        name: str = self.cleaned_data["list"]
        if name not in self.lists:
            raise ValidationError(gettext("This list does not exist."), code="invalid")
        return name

    def _post_clean(self) -> None:
        if self.instance.pk is None:
            self.instance.user = self.user
        super()._post_clean()  # type: ignore[misc]

    def _get_validation_exclusions(self) -> set[str]:
        # The owner is not a form field but part of the unique constraint.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"user"}


@admin.register(SavedFilter)
class SavedFilterAdmin(EditAdmin):
    """The user's own filters and the shared filters."""

    form = SavedFilterForm
    has_history = False
    list_display = ["name", "of_list", "filters", "is_shared", "user"]
    list_display_links = ["name"]
    list_select_related = ["user"]
    actions = None
    empty_text = _("Filter a list, then save the filter there.")
    fields = ["name", "shared", "list", "query"]

    def _lists(self, request: HttpRequest) -> dict[str, Any]:
        """Return the models whose lists the user may view, by list name."""
        return {
            list_name(model): model
            for model, found in self.admin_site._registry.items()
            if isinstance(found, GuardedAdmin) and found.has_view_permission(request)
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedFilter]:
        """Return the filters that the user may use."""
        rows: Any = super().get_queryset(request)
        filters: QuerySet[SavedFilter] = rows.visible_to(request.user).filter(
            list__in=self._lists(request)
        )
        return filters

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return False: the lists link to this page, so the index does not list it."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True if the user may view a list."""
        return bool(self._lists(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return True if the user may view a list."""
        return bool(self._lists(request))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True for the user's own filters; administrators may change shared ones."""
        may = obj is None or obj.can_be_changed_by(request.user)
        return may and bool(self._lists(request))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True if the user may change the filter."""
        return self.has_change_permission(request, obj)

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show Django's history page to users who may view filters."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return super().history_view(request, *args, **kwargs)

    @admin.display(description=_("list"), ordering="list")
    def of_list(self, row: SavedFilter) -> str:
        """Return the name of the list."""
        label = row.list.rpartition(".")[2]
        for model in self.admin_site._registry:
            if list_name(model) == row.list:
                label = list_title(model)
        return capfirst(label)

    @admin.display(description=_("filter"))
    def filters(self, row: SavedFilter) -> str:
        """Return a link to the filtered list."""
        return format_html('<a href="{}">{}</a>', _filtered_url(row), _query_text(row.query))

    @admin.display(description=_("user"))
    def owner(self, row: SavedFilter) -> str:
        """Return the name of the user, whose page readers may not open."""
        return str(row.user)

    @admin.display(boolean=True, description=_("shared"), ordering="shared")
    def is_shared(self, row: SavedFilter) -> bool:
        """Return True if all users see the filter."""
        return row.shared

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields, with ``shared`` only for users who may share filters.

        Readers see the names of the list and of the filters.
        """
        if obj is not None and not self.has_change_permission(request, obj):
            return ["name", "of_list", "filters", "owner"]
        shares = request.user.has_perm(SHARE_FILTERS)
        return [name for name in self.fields or () if name != "shared" or shares]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form class with the user and the lists."""
        form = super().get_form(request, obj, change=change, **kwargs)
        attributes = {"user": request.user, "lists": self._lists(request)}
        return type(form.__name__, (form,), attributes)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the list without an add button: filters are added on the list they filter."""
        return super().changelist_view(
            request, {"has_add_permission": False, **(extra_context or {})}
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show Django's page with a single save button."""
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().changeform_view(
            request, object_id, form_url, {**buttons, **(extra_context or {})}
        )

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Redirect to the filtered list."""
        return HttpResponseRedirect(_filtered_url(obj))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Redirect to the saved filters."""
        return HttpResponseRedirect(admin_url(SavedFilter, "changelist"))


def _query_text(query: str) -> str:
    pairs = QueryDict(query)
    text = ", ".join(
        f"{name.removesuffix('__exact')} = {value}"
        for name in pairs
        for value in pairs.getlist(name)
    )
    return text or gettext("no filter")


def _filtered_url(row: SavedFilter) -> str:
    app, _, model = row.list.partition(".")
    return f"{admin_url(apps.get_model(app, model), 'changelist')}?{row.query}"
