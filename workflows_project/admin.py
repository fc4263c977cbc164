"""Users and groups, edited as everything else; who has tokens, and how they are revoked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from knox.models import AuthToken

from executions.admin.accounts import GuardedPeople
from workflows import guards
from workflows.admin.base.edits import EditAdmin, EditForm
from workflows.admin.base.generics import ModelForm
from workflows.admin.base.list_filters import ListAdmin

admin.site.unregister([AuthToken, Group, User])


class UserForm(EditForm, UserChangeForm):  # type: ignore[type-arg]
    """A user, of whom only what was changed is written."""

    def clean_username(self) -> str:
        """Return a name that differs from those of others in more than case."""
        name: str = self.cleaned_data["username"]
        others = User.objects.exclude(pk=self.instance.pk).filter(username__iexact=name)
        _refuse_likeness(self, "username", others.values_list("username", flat=True))
        return name


class GroupForm(EditForm):
    """A group, of which only what was changed is written."""

    def clean_name(self) -> str:
        """Return a name that nobody takes for another group's."""
        name: str = self.cleaned_data["name"]
        others = Group.objects.exclude(pk=self.instance.pk)
        _refuse_likeness(self, "name", others.values_list("name", flat=True))
        return name


def _refuse_likeness(form: ModelForm[Any], field: str, others: Iterable[str]) -> None:
    # A name that was there before stays as it is.
    if form.cleaned_data[field] == form.initial.get(field):
        return
    try:
        guards.refuse_name_like(form.cleaned_data[field], others)
    except (guards.NameInUse, guards.NameUnseen) as refusal:
        raise ValidationError(str(refusal)) from None


@admin.register(User)
class UserAdmin(GuardedPeople, EditAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """Users: names, roles and permissions."""

    form = UserForm


@admin.register(Group)
class GroupAdmin(GuardedPeople, EditAdmin, DjangoGroupAdmin):
    """Groups and what their members may do."""

    form = GroupForm


@admin.register(AuthToken)
class TokenAdmin(ListAdmin):
    """Tokens, each by its user; who wants one gets it for himself."""

    list_display = ["user", "created", "expiry", "is_valid"]
    list_display_links = None
    list_select_related = ["user"]
    list_filter = [("user", admin.RelatedOnlyFieldListFilter), "created", "expiry"]
    search_fields = ["user__username"]
    fields = ["user", "created", "expiry"]
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody gets a token for somebody else."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A token is what it is, until it is revoked."""
        return False

    @admin.display(boolean=True, description="valid")
    def is_valid(self, row: AuthToken) -> bool:
        """Whether its time is not over, and its user may log in."""
        is_over = row.expiry is not None and row.expiry <= timezone.now()
        return bool(row.user.is_active and not is_over)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without the stock deletion, whose pages name rows by their hashes."""
        return {
            name: action
            for name, action in super().get_actions(request).items()
            if name != "delete_selected"
        }

    @admin.action(description="Revoke selected tokens", permissions=["delete"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AuthToken]) -> None:
        """Revoke them at once; the log of the user tells it."""
        users = [row.user for row in queryset.select_related("user")]
        queryset.delete()
        for user in users:
            self.log_change(request, user, "Token revoked.")
        number = len(users)
        text = f"{number} token{'' if number == 1 else 's'} revoked."
        self.message_user(request, text, messages.SUCCESS)
