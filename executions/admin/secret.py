"""The pages of secrets: a value goes in, and never comes out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError

from executions.models import Secret
from workflows.admin.guarded import GuardedAdmin, GuardedForm
from workflows.admin.records import KINDS, Kind

SHORTEST = 8


class SecretForm(GuardedForm):
    """The name, and a value that is only ever typed."""

    versioned_by = {"value": "times_set"}

    value = forms.CharField(
        min_length=SHORTEST,
        max_length=10_000,
        widget=forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "new-password", "class": "vTextField"}
        ),
        help_text="Never shown again. Left empty, a value that is stored stays.",
    )

    class Meta:
        model = Secret
        fields = ["name"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "value" in self.fields:
            self.fields["value"].required = self.instance.pk is None

    def clean_value(self) -> str:
        """Refuse what a header could not hold, and any value while there is no key."""
        value: str = self.cleaned_data["value"]
        if value and not settings.SECRETS_KEY:
            raise ValidationError("Set SECRETS_KEY first: it encrypts the secrets.")
        return value

    def save(self, commit: bool = True) -> Any:
        """Encrypt what was typed."""
        if value := self.cleaned_data.get("value"):
            self.instance.keep(value)
        return super().save(commit)

    def written_columns(self) -> set[str]:
        """Return the columns to write: of a value that was typed, what keeps it."""
        kept = {"encrypted", "times_set"} if "value" in self.written else set()
        return super().written_columns() | kept


@admin.register(Secret)
class SecretAdmin(GuardedAdmin):
    """Secrets by name."""

    form = SecretForm
    list_display = ["name", "times_set", "cuid"]
    search_fields = ["name", "=cuid"]
    fields = ["name", "value", "times_set", "cuid"]
    readonly_fields = ["times_set", "cuid"]


KINDS["secret"] = Kind(Secret, "name")
