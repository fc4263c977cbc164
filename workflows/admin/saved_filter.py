"""The pages of saved filters: named, renamed, shared and deleted; used on the lists themselves."""

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

from workflows.admin.base.change_list import list_name
from workflows.admin.base.edits import EditAdmin, EditForm
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.models import SHARE_FILTERS, SavedFilter


class SavedFilterForm(EditForm):
    """The name; what is filtered comes with the link that led here."""

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
            # Django shows a help text as it is.
            self.fields["name"].help_text = format_html("Filtered by: {}", _words(query))

    def clean_list(self) -> str:
        """Refuse a list that there is not, or that the user may not see."""
        name: str = self.cleaned_data["list"]
        if name not in self.lists:
            raise ValidationError("There is no such list.", code="invalid")
        return name

    def _post_clean(self) -> None:
        if self.instance.pk is None:
            self.instance.user = self.user
        super()._post_clean()  # type: ignore[misc]

    def _get_validation_exclusions(self) -> set[str]:
        # One name, one filter: the owner is none of the fields, but part of what is once.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"user"}


@admin.register(SavedFilter)
class SavedFilterAdmin(EditAdmin):
    """One's own filters and the shared ones."""

    form = SavedFilterForm
    list_display = ["name", "of_list", "filters", "is_shared", "user"]
    list_display_links = ["name"]
    list_select_related = ["user"]
    actions = None
    fields = ["name", "shared", "list", "query"]

    def _lists(self, request: HttpRequest) -> dict[str, Any]:
        """The lists that this user may see, by the names that filters are kept under."""
        return {
            list_name(model): model
            for model, found in self.admin_site._registry.items()
            if isinstance(found, GuardedAdmin) and found.has_view_permission(request)
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedFilter]:
        """Those that this user may use."""
        rows: Any = super().get_queryset(request)
        seen: QuerySet[SavedFilter] = rows.seen_by(request.user).filter(
            list__in=self._lists(request)
        )
        return seen

    def has_module_permission(self, request: HttpRequest) -> bool:
        """The lists lead here; among everything else it would stand in the way."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What one finds on a list, one may see."""
        return bool(self._lists(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever sees a list keeps filters of it."""
        return bool(self._lists(request))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One's own; the shared ones are the administrators'."""
        may = obj is None or obj.may_be_changed_by(request.user)
        return may and bool(self._lists(request))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As for a change."""
        return self.has_change_permission(request, obj)

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The stock page, for who may see any."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return super().history_view(request, *args, **kwargs)

    @admin.display(description="list", ordering="list")
    def of_list(self, row: SavedFilter) -> str:
        """What is listed."""
        label = row.list.rpartition(".")[2]
        for model in self.admin_site._registry:
            if list_name(model) == row.list:
                label = str(model._meta.verbose_name_plural)
        return capfirst(label)

    @admin.display(description="filter")
    def filters(self, row: SavedFilter) -> str:
        """The filtered list."""
        return format_html('<a href="{}">{}</a>', _address(row), _words(row.query))

    @admin.display(boolean=True, description="shared", ordering="shared")
    def is_shared(self, row: SavedFilter) -> bool:
        """Whether everyone finds it."""
        return row.shared

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only who may share is asked whether it is shared."""
        shares = request.user.has_perm(SHARE_FILTERS)
        return [name for name in self.fields or () if name != "shared" or shares]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The form, which knows who asks and which lists there are."""
        form = super().get_form(request, obj, change=change, **kwargs)
        given = {"user": request.user, "lists": self._lists(request)}
        return type(form.__name__, (form,), given)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The stock list; a filter is added on the list that it filters."""
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
        """The stock page with one way to save."""
        one_way = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().changeform_view(
            request, object_id, form_url, {**one_way, **(extra_context or {})}
        )

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Back to the list, filtered."""
        return HttpResponseRedirect(_address(obj))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Back to the saved filters."""
        return HttpResponseRedirect(admin_url(SavedFilter, "changelist"))


def _words(query: str) -> str:
    pairs = QueryDict(query)
    told = ", ".join(
        f"{name.removesuffix('__exact')} = {value}"
        for name in pairs
        for value in pairs.getlist(name)
    )
    return told or "everything"


def _address(row: SavedFilter) -> str:
    app, _, model = row.list.partition(".")
    return f"{admin_url(apps.get_model(app, model), 'changelist')}?{row.query}"
