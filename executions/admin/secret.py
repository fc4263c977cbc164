"""The pages of secrets: a value goes in, and never comes out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime

from executions import services
from executions.models import Secret
from workflows.admin.audited_records import KINDS, Kind
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.model_admin import GuardedAdmin, GuardedForm

SHORTEST = 8


class HostsField(forms.CharField):
    """Hosts, one a line."""

    widget = forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"})

    def prepare_value(self, value: Any) -> Any:
        """Return the lines."""
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        """Return the hosts in lower case; what is no host, the model refuses."""
        return [line.strip().lower() for line in super().clean(value).splitlines() if line.strip()]


class SecretForm(GuardedForm):
    """The name, a value that is only ever typed, and the hosts that it may be sent to."""

    versioned_by = {"value": "times_set"}

    value = forms.CharField(
        min_length=SHORTEST,
        max_length=10_000,
        widget=forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "new-password", "class": "vTextField"}
        ),
        help_text="Never shown again. Left empty, a value that is stored stays.",
    )
    hosts = HostsField(
        required=False,
        help_text="One a line, such as api.example.com or api.example.com:8443. Calls send the "
        "secret to no other host; empty: to every host that may be called.",
    )

    class Meta:
        model = Secret
        fields = ["name", "hosts"]

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
        kept = {"encrypted", "times_set", "previous", "previous_until"}
        return super().written_columns() | (kept if "value" in self.written else set())


@admin.register(Secret)
class SecretAdmin(GuardedAdmin):
    """Secrets by name."""

    form = SecretForm
    list_display = ["name", "hosts_shown", "times_set", "cuid"]
    search_fields = ["name", "=cuid"]
    fields = ["name", "value", "hosts", "times_set", "previous_value", "cuid"]
    readonly_fields = ["times_set", "previous_value", "cuid"]
    revoke_template = "executions/admin/revoke_secret.html"

    @admin.display(description="hosts")
    def hosts_shown(self, row: Secret) -> str:
        """The hosts that it may be sent to."""
        return ", ".join(row.hosts) or "every host"

    @admin.display(description="previous value")
    def previous_value(self, row: Secret) -> str:
        """Until when the value that was replaced is accepted, and the link that revokes it."""
        if not row.accepts_previous:
            return "not accepted"
        return format_html(
            'accepted until {} <a class="small-button" href="{}">Revoke now…</a>',
            _until(row),
            admin_url(Secret, "revoke", row.pk),
        )

    def get_urls(self) -> list[URLPattern]:
        """The page that revokes before the stock ones."""
        view = self.admin_site.admin_view(self.revoke_view)
        revoke = path("<int:pk>/revoke/", view, name="executions_secret_revoke")
        return [revoke, *super().get_urls()]

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET says what happens; POST ends the acceptance of the value that was replaced."""
        self.require(request, "executions.change_secret")
        row = Secret.objects.filter(pk=pk).first()
        if row is None:
            raise Http404
        back_url = admin_url(Secret, "change", row.pk)
        if request.method == "POST":
            if services.revoke_previous_value(row, by=request.user):
                self.log_change(request, row, "Previous value revoked.")
                text = format_html("The previous value of “{}” is accepted no longer.", row.name)
                self.message_user(request, text, messages.SUCCESS)
            return HttpResponseRedirect(back_url)
        if not row.accepts_previous:
            return HttpResponseRedirect(back_url)
        context = {"title": "Revoke the previous value", "until": _until(row), "back_url": back_url}
        return self.render_page(request, self.revoke_template, context, row=row)

    def refuse_deletion(self, row: Any) -> None:
        """Ask whether something live uses the secret."""
        services.refuse_secret_deletion(row)


def _until(row: Secret) -> str:
    assert row.previous_until is not None
    return date_format(localtime(row.previous_until), "DATETIME_FORMAT")


KINDS["secret"] = Kind(Secret, "name")
