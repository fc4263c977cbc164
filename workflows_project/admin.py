"""Admin pages of users, groups and tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from knox.models import AuthToken

from executions.admin.accounts import GuardedAccountAdmin
from workflows import guards
from workflows.admin.base.change_list import ListAdmin
from workflows.admin.base.formatting import DASH, admin_url
from workflows.admin.base.forms import EditForm
from workflows.admin.base.generics import ModelForm
from workflows.admin.base.model_admin import EditAdmin
from workflows.admin.base.submit_once import mark_done
from workflows.db import clock
from workflows_project.auth import login_limits
from workflows_project.auth.issuing import MANAGE_ACCOUNTS, issue_token, service_accounts
from workflows_project.auth.scopes import SCOPES
from workflows_project.models import FailedLogins

_NEW_TOKEN = "workflows_project/new_token.html"

admin.site.unregister([AuthToken, Group, User])


class UserForm(EditForm, UserChangeForm):  # type: ignore[type-arg]
    """The form of a user. It writes only changed fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "password" in self.fields:
            # Django shows the algorithm and parts of the hash.
            self.fields["password"].widget.template_name = "workflows_project/password_set.html"

    def clean_username(self) -> str:
        """Return the username, or raise a validation error if it resembles another one."""
        name: str = self.cleaned_data["username"]
        others = User.objects.exclude(pk=self.instance.pk).filter(username__iexact=name)
        _refuse_likeness(self, "username", others.values_list("username", flat=True))
        return name


class GroupForm(EditForm):
    """The form of a group. It writes only changed fields."""

    def clean_name(self) -> str:
        """Return the name, or raise a validation error if it resembles another group's name."""
        name: str = self.cleaned_data["name"]
        others = Group.objects.exclude(pk=self.instance.pk)
        _refuse_likeness(self, "name", others.values_list("name", flat=True))
        return name


def _refuse_likeness(form: ModelForm[Any], field: str, others: Iterable[str]) -> None:
    # An unchanged name is not checked again.
    if form.cleaned_data[field] == form.initial.get(field):
        return
    try:
        guards.refuse_name_like(form.cleaned_data[field], others)
    except (guards.NameInUse, guards.InvisibleName) as refusal:
        raise ValidationError(str(refusal)) from None


@admin.register(User)
class UserAdmin(GuardedAccountAdmin, EditAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """Users, their groups and permissions."""

    form = UserForm


@admin.register(Group)
class GroupAdmin(GuardedAccountAdmin, EditAdmin, DjangoGroupAdmin):
    """Groups and their permissions."""

    form = GroupForm


class NewTokenForm(forms.Form):
    """The settings of a new token."""

    account = forms.ModelChoiceField(
        User.objects.none(),
        label=_("Account"),
        help_text=_("Your own account, or an account without a password."),
    )
    name = forms.CharField(label=_("Name"), max_length=100, help_text=_("For example the program."))
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=[(name, format_lazy("{} ({})", text, name)) for name, text in SCOPES.items()],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Without any, the token may do everything that the account may."),
    )
    expires = forms.DateTimeField(
        label=_("Expires"), required=False, help_text=_("Empty: the token never expires.")
    )

    def clean_expires(self) -> Any:
        """Return the time, or raise a validation error if it is in the past."""
        expires = self.cleaned_data["expires"]
        if expires is not None and expires <= timezone.now():
            raise ValidationError(_("Choose a time in the future."))
        return expires


@dataclass(frozen=True, slots=True)
class _NamedToken:
    """A token as its pages name it: Django's text has the hash."""

    pk: str
    name: str

    def __str__(self) -> str:
        return self.name


@admin.register(AuthToken)
class TokenAdmin(ListAdmin):
    """API tokens. Users create their own tokens by the API.

    Administrators revoke tokens, and create those of service accounts.
    """

    list_title = _("API tokens")
    item_titles = (_("API token"), _("API tokens"))
    empty_text = _("Create a token for each program that calls the API.")
    add_title = _("Create token")
    has_history = False
    list_display = [
        *("user", "token_name", "token_scopes", "created", "expiry", "last_used", "is_valid")
    ]
    list_display_links = None
    list_select_related = ["user", "details"]
    list_filter = [("user", admin.RelatedOnlyFieldListFilter), "created", "expiry"]
    search_fields = ["user__username", "details__name"]
    fields = ["user", "created", "expiry"]
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return True for users who may manage accounts."""
        return bool(request.user.has_perm(MANAGE_ACCOUNTS))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for the settings of a token; on POST, create it and show its value once."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewTokenForm(request.POST or None)
        accounts = service_accounts() | User.objects.filter(username=request.user.get_username())
        form.fields["account"].queryset = accounts.order_by("username")  # type: ignore[attr-defined]
        back_url = admin_url(AuthToken, "changelist")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "has_view_permission": self.has_view_permission(request),
            "title": gettext("Create token"),
            "form": form,
            "back_url": back_url,
        }
        if not (request.method == "POST" and form.is_valid()):
            return TemplateResponse(request, _NEW_TOKEN, context)
        values = form.cleaned_data
        account, scopes = values["account"], values["scopes"] or None
        _row, token = issue_token(
            account, name=values["name"], scopes=scopes, expires=values["expires"]
        )
        self.log_change(request, account, gettext("Token created."))
        result = {**context, "title": gettext("New token"), "account": account, "token": token}
        response = TemplateResponse(request, _NEW_TOKEN, result)
        response["Cache-Control"] = "no-store"
        # The token is shown once, so the response cannot be repeated.
        return mark_done(response, back_url)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: tokens can only be revoked."""
        return False

    @admin.display(description=_("name"), ordering="details__name")
    def token_name(self, row: AuthToken) -> str:
        """Return the name of the token."""
        details = getattr(row, "details", None)
        return details.name if details else ""

    @admin.display(description=_("scopes"))
    def token_scopes(self, row: AuthToken) -> str:
        """Return the scopes of the token."""
        details = getattr(row, "details", None)
        return (details.scopes if details else "") or gettext("all")

    @admin.display(description=_("last used"), ordering="details__last_used_at")
    def last_used(self, row: AuthToken) -> Any:
        """Return the time of the last use."""
        details = getattr(row, "details", None)
        return details.last_used_at if details else None

    @admin.display(boolean=True, description=_("valid"))
    def is_valid(self, row: AuthToken) -> bool:
        """Return True if the token has not expired and its user is active."""
        has_expired = row.expiry is not None and row.expiry <= timezone.now()
        return bool(row.user.is_active and not has_expired)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        """Redirect to the list, which shows all there is to see of a token."""
        return self._redirect_to_list(request)

    def history_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        """Redirect to the list: tokens never change."""
        return self._redirect_to_list(request)

    def _redirect_to_list(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(admin_url(AuthToken, "changelist"))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show Django's page with the name of the token instead of its hash."""
        row = self.get_object(request, object_id)
        named = (
            {"object": _NamedToken(row.pk, self.token_name(row) or str(row.user))} if row else {}
        )
        return super().delete_view(request, object_id, {**named, **(extra_context or {})})

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Remove Django's deletion, whose pages show the token hashes."""
        return {
            name: action
            for name, action in super().get_actions(request).items()
            if name != "delete_selected"
        }

    @admin.action(description=_("Revoke selected tokens"), permissions=["delete"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AuthToken]) -> None:
        """Revoke the selected tokens and log it for their users."""
        users = [row.user for row in queryset.select_related("user")]
        queryset.delete()
        for user in users:
            self.log_change(request, user, gettext("Token revoked."))
        number = len(users)
        text = ngettext("%(number)s token was revoked.", "%(number)s tokens were revoked.", number)
        self.message_user(request, text % {"number": number}, messages.SUCCESS)


class LockedFilter(admin.SimpleListFilter):
    """A filter that shows what is locked now."""

    title = _("locked")
    parameter_name = "locked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the only choice."""
        return [("1", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the accounts and addresses that are locked now."""
        if self.value() != "1":
            return queryset
        return queryset.filter(pk__in=login_limits.locked_rows(clock.now()).values("pk"))


@admin.register(FailedLogins)
class FailedLoginsAdmin(ListAdmin):
    """Accounts and addresses with failed logins. Administrators unlock them."""

    has_history = False
    empty_text = _("Accounts and addresses appear here after a failed login.")
    list_display = ["name", "scope", "failures", "last_at", "locked_until"]
    list_display_links = None
    list_filter = ["scope", LockedFilter]
    search_fields = ["name"]
    ordering = ["-last_at"]
    fields = ["name", "scope", "failures", "first_at", "last_at", "locked_until"]
    readonly_fields = ["locked_until"]
    actions = ["unlock"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: failures are counted, not entered."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: a count can only be deleted."""
        return False

    @admin.display(description=_("locked until"))
    def locked_until(self, row: FailedLogins) -> Any:
        """Return when the account or address is unlocked."""
        return login_limits.locked_until(row, clock.now()) or DASH

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Remove Django's deletion: unlocking does the same, and records it."""
        return {
            name: action
            for name, action in super().get_actions(request).items()
            if name != "delete_selected"
        }

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Unlock one account or address, from the page of a deletion."""
        login_limits.unlock([obj])

    @admin.action(description=_("Unlock"), permissions=["delete"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[FailedLogins]) -> None:
        """Forget the failed logins of the selected accounts and addresses."""
        number = login_limits.unlock(queryset)
        text = ngettext("%(number)s was unlocked.", "%(number)s were unlocked.", number)
        self.message_user(request, text % {"number": number}, messages.SUCCESS)
