"""Secret pages. Values can be set but are never shown."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import services
from executions.engine.secret_uses import users_of_secret
from executions.models import Secret
from executions.models.secret import refuse_host
from workflows.admin.audited_records import RECORD_MODELS, RecordModel
from workflows.admin.base.formatting import admin_url, format_moment
from workflows.admin.base.forms import GuardedForm
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.graph_editor.offers import Offers
from workflows.admin.row_forms import RowForm, RowsField

MIN_LENGTH = 8


HOST = {"title": _("Host"), "type": "string", "format": "host"}


def offered_hosts() -> Offers:
    """Return the hosts that may be called."""
    names = sorted(map(str, settings.HTTP_REQUEST_HOSTS))
    return Offers(suggestions={"host": [(name, name) for name in names]} if names else {})


def clean_host(text: str) -> str:
    """Return a host name in lower case, or raise ``ValidationError``."""
    refuse_host(host := text.lower())
    return host


class SecretForm(RowForm, GuardedForm):
    """The form of a secret: its name, its new value and the hosts that may receive it."""

    version_attributes = {"value": "times_set"}

    value = forms.CharField(
        min_length=MIN_LENGTH,
        max_length=10_000,
        widget=forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "new-password", "class": "vTextField"}
        ),
        help_text=_("Never shown again. Leave empty to keep the current value."),
    )
    hosts = RowsField(
        HOST,
        find_offers=offered_hosts,
        clean_row=clean_host,
        help_text=_(
            "For example api.example.com or api.example.com:8443. The secret is sent only to these"
            " hosts. Leave empty to allow every host that may be called."
        ),
    )

    class Meta:
        model = Secret
        fields = ["name", "hosts"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "value" in self.fields:
            self.fields["value"].required = self.instance.pk is None
            if self.instance.pk is None:
                self.fields["value"].help_text = _("Never shown again.")

    def clean_value(self) -> str:
        """Return the value, or raise a validation error if the encryption key is missing."""
        value: str = self.cleaned_data["value"]
        if value and not settings.SECRETS_KEY:
            raise ValidationError(gettext("Set SECRETS_KEY first. It encrypts the secrets."))
        return value

    def save(self, commit: bool = True) -> Any:
        """Encrypt a new value and save the secret."""
        if value := self.cleaned_data.get("value"):
            self.instance.set_value(value)
        return super().save(commit)

    def written_columns(self) -> set[str]:
        """Return the columns to write; a new value changes several."""
        value_columns = {"encrypted", "times_set", "previous", "previous_until"}
        return super().written_columns() | (
            value_columns if "value" in self.changed_fields else set()
        )


@admin.register(Secret)
class SecretAdmin(GuardedAdmin):
    """Secrets, listed by name."""

    form = SecretForm
    empty_text = _("A secret is a password or a key that graphs use by its name.")
    list_display = ["name", "allowed_hosts", "times_set"]
    optional_columns = ("public_id",)
    search_fields = ["name", "=cuid"]
    fields = ["name", "value", "hosts", "times_set", "previous_value", "cuid"]
    readonly_fields = ["times_set", "previous_value", "cuid"]
    revoke_template = "executions/admin/revoke_secret.html"

    @admin.display(description=_("hosts"))
    def allowed_hosts(self, row: Secret) -> str:
        """Return the hosts that may receive the secret."""
        return ", ".join(row.hosts) or gettext("every host")

    @admin.display(description=_("previous value"))
    def previous_value(self, row: Secret) -> str:
        """Return until when the previous value is accepted, with a link to revoke it."""
        if not row.accepts_previous:
            return gettext("not accepted")
        return format_html(
            '{} <a class="small-button" href="{}">{}</a>',
            gettext("accepted until %(time)s") % {"time": _until(row)},
            admin_url(Secret, "revoke", row.pk),
            gettext("Revoke…"),
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the route of the page that revokes the previous value."""
        view = self.admin_site.admin_view(self.revoke_view)
        revoke = path("<int:pk>/revoke/", view, name="executions_secret_revoke")
        return [revoke, *super().get_urls()]

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for confirmation on GET, revoke the previous value on POST.

        Raises:
            Http404: the secret does not exist.
        """
        self.require(request, "executions.change_secret")
        row = Secret.objects.filter(pk=pk).first()
        if row is None:
            raise Http404
        back_url = admin_url(Secret, "change", row.pk)
        if request.method == "POST":
            if services.revoke_previous_value(row, by=request.user):
                self.log_change(request, row, gettext("Previous value revoked."))
                text = format_html(gettext("The previous value of “{}” was revoked."), row.name)
                self.message_user(request, text, messages.SUCCESS)
            return HttpResponseRedirect(back_url)
        if not row.accepts_previous:
            return HttpResponseRedirect(back_url)
        context = {
            "title": gettext("Revoke the previous value"),
            "until": _until(row),
            "back_url": back_url,
        }
        return self.render_page(request, self.revoke_template, context, row=row)

    def is_deletable(self, row: Secret) -> bool:
        """Return whether no live version used the secret when the page read it."""
        return not any(users.exists() for users in users_of_secret(row.name))

    def refuse_deletion(self, row: Any) -> None:
        """Raise a refusal if a live execution uses the secret."""
        services.refuse_secret_deletion(row)


def _until(row: Secret) -> str:
    assert row.previous_until is not None
    return format_moment(row.previous_until)


RECORD_MODELS["secret"] = RecordModel(Secret, columns=("name",))
