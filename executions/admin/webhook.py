"""Webhook pages: the settings, the recent deliveries and the secret, which is shown once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.models import EVENTS, OutgoingDelivery, Subscription
from executions.webhooks import subscriptions
from workflows.admin.audit import history_context
from workflows.admin.audited_records import RECORD_MODELS, RecordModel
from workflows.admin.base.formatting import admin_url, badge
from workflows.admin.base.forms import GuardedForm
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal
from workflows.admin.base.submit_once import mark_done

LISTED = 20
MANAGE = "executions.change_subscription"
VIEW_DELIVERIES = "executions.view_outgoingdelivery"


class SubscriptionForm(GuardedForm):
    """The form of a webhook, with a checkbox for each event."""

    events = forms.MultipleChoiceField(
        choices=[(name, f"{name}: {description}") for name, description in EVENTS.items()],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = Subscription
        fields = ["url", "description", "events", "workflow", "entity_name_type", "state"]
        widgets = {"url": forms.URLInput(attrs={"class": "vURLField"})}

    def clean_url(self) -> str:
        """Return the URL, or raise a validation error if events may not be sent to it."""
        url: str = self.cleaned_data["url"]
        try:
            subscriptions.refuse_url(url)
        except ValidationError as refusal:
            raise ValidationError(refusal.messages) from None
        return url


@admin.register(Subscription)
class SubscriptionAdmin(GuardedAdmin):
    """Webhooks: their state, events and deliveries."""

    form = SubscriptionForm
    change_form_template = "executions/admin/webhook.html"
    empty_text = _("A webhook sends events to another system.")
    list_display = ["address", "state_badge", "event_names", "restricted_to"]
    list_filter = ["state"]
    list_select_related = ["workflow", "entity_name_type"]
    search_fields = ["url", "description", "=cuid"]
    autocomplete_fields = ["workflow", "entity_name_type"]
    fields = [
        *SubscriptionForm.Meta.fields,
        *("disabled_because", "given_up_in_a_row", "created_at", "cuid"),
    ]
    readonly_fields = ["disabled_because", "given_up_in_a_row", "created_at", "cuid"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields of the form. Readers see the events as text."""
        names = super().get_fields(request, obj)
        is_read = obj is not None and not self.has_change_permission(request, obj)
        return ["event_names" if is_read and name == "events" else name for name in names]

    @admin.display(description=_("URL"), ordering="url")
    def address(self, row: Subscription) -> str:
        """Return the URL."""
        return str(row.url)

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, row: Subscription) -> str:
        """Return the state as a badge."""
        return badge(row.state, row.get_state_display())

    @admin.display(description=_("events"))
    def event_names(self, row: Subscription) -> str:
        """Return the names of the events."""
        return gettext("all") if set(row.events) == set(EVENTS) else ", ".join(row.events)

    @admin.display(description=_("only for"))
    def restricted_to(self, row: Subscription) -> str:
        """Return the workflow and the type that the webhook is restricted to."""
        return ", ".join(str(one) for one in (row.workflow, row.entity_name_type) if one)

    def get_urls(self) -> list[URLPattern]:
        """Add the routes of the custom pages."""
        wrap = self.admin_site.admin_view
        own = [
            path(f"<int:pk>/{page}/", wrap(view), name=f"executions_subscription_{page}")
            for page, view in (("rotate", self.rotate_view), ("test", self.test_view))
        ]
        return [*own, *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the webhook; create the secret of a new one."""
        super().save_model(request, obj, form, change)
        if not change:
            obj.secret = subscriptions.create_secret(obj)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret on a page; a message would be stored in a cookie."""
        return self._show_secret(request, obj, obj.secret)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show Django's page with the recent deliveries."""
        row = self.get_object(request, object_id)
        if row is not None:
            extra_context = {**(extra_context or {}), **self._page_context(request, row)}
        return super().change_view(request, object_id, form_url, extra_context)

    def _page_context(self, request: HttpRequest, row: Subscription) -> dict[str, Any]:
        may_manage = request.user.has_perm(MANAGE)
        is_active = row.state == Subscription.State.ACTIVE
        found: dict[str, Any] = {
            "rotate_url": self._page_url(row, "rotate") if may_manage else None,
            "test_url": self._page_url(row, "test") if may_manage and is_active else None,
            **history_context(request, row.cuid),
        }
        if request.user.has_perm(VIEW_DELIVERIES):
            deliveries: QuerySet[OutgoingDelivery] = row.deliveries.prefetch_related("attempts")
            found["deliveries"] = [
                {"row": one, "attempts": list(one.attempts.all())}
                for one in deliveries.order_by("-pk")[:LISTED]
            ]
            listed = admin_url(OutgoingDelivery, "changelist", subscription=row.pk)
            found["deliveries_url"] = listed
        return found

    def _page_url(self, row: Subscription, page: str) -> str:
        return admin_url(Subscription, page, row.pk)

    def _find(self, pk: int) -> Subscription:
        row = Subscription._base_manager.filter(pk=pk).first()
        if row is None:
            raise Http404
        found: Subscription = row
        return found

    def rotate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for confirmation on GET; on POST, replace the secret and show the new one."""
        self.require(request, MANAGE)
        row = self._find(pk)
        if request.method == "POST":
            try:
                secret = subscriptions.rotate_secret(row, by=request.user)
            except REFUSING as error:
                self.message_refusal(request, log_refusal(error))
                return HttpResponseRedirect(self._page_url(row, "change"))
            self.log_change(request, row, gettext("Secret replaced."))
            return self._show_secret(request, row, secret)
        return self._secret_page(request, row, asks=True)

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send a test event on POST."""
        self.require(request, MANAGE)
        row = self._find(pk)
        back = HttpResponseRedirect(self._page_url(row, "change"))
        if request.method != "POST":
            return back
        try:
            delivery = subscriptions.send_test_event(row)
        except REFUSING as error:
            self.message_refusal(request, log_refusal(error))
            return back
        text = gettext("The background worker will send a test event.")
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(admin_url(OutgoingDelivery, "change", delivery.pk))

    def _show_secret(self, request: HttpRequest, row: Any, secret: str) -> HttpResponse:
        response = self._secret_page(request, row, secret=secret)
        response["Cache-Control"] = "no-store"
        # The secret is shown once, so the response cannot be repeated.
        return mark_done(response, self._page_url(row, "change"))

    def _secret_page(self, request: HttpRequest, row: Any, **context: Any) -> HttpResponse:
        full_context = {
            "title": gettext("Replace the secret")
            if context.get("asks")
            else gettext("Webhook secret"),
            "hours": int(subscriptions.OVERLAP.total_seconds() // 3600),
            "back_url": self._page_url(row, "change"),
            **context,
        }
        template = "executions/admin/webhook_secret.html"
        return self.render_page(request, template, full_context, row=row)


RECORD_MODELS["webhook"] = RecordModel(Subscription, columns=("url",))
