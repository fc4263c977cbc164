"""The pages of webhooks: who is told, how that fares, and the secret, shown once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path

from executions.models import EVENTS, OutgoingDelivery, Subscription
from executions.webhooks import subscriptions
from workflows.admin.audited_records import KINDS, Kind
from workflows.admin.base.formatting import admin_url, badge, log_url
from workflows.admin.base.model_admin import GuardedAdmin, GuardedForm
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING
from workflows.admin.base.submit_once import done_at
from workflows.admin.history import history

LISTED = 20
MANAGE = "executions.change_subscription"
SEE = "executions.view_outgoingdelivery"


class SubscriptionForm(GuardedForm):
    """The events as boxes to tick, each with what it tells of."""

    events = forms.MultipleChoiceField(
        choices=[(name, f"{name}: {told}") for name, told in EVENTS.items()],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = Subscription
        fields = ["url", "description", "events", "workflow", "entity_name_type", "state"]
        widgets = {"url": forms.URLInput(attrs={"class": "vURLField"})}

    def clean_url(self) -> str:
        """Refuse an address that nothing may be sent to."""
        url: str = self.cleaned_data["url"]
        try:
            subscriptions.refuse_url(url)
        except ValidationError as refusal:
            raise ValidationError(refusal.messages) from None
        return url


@admin.register(Subscription)
class SubscriptionAdmin(GuardedAdmin):
    """Webhooks: their state, what they are told of, and what they were told lately."""

    form = SubscriptionForm
    change_form_template = "executions/admin/webhook.html"
    list_display = ["url", "state_badge", "told_of", "narrowed_to"]
    list_filter = ["state"]
    list_select_related = ["workflow", "entity_name_type"]
    search_fields = ["url", "description", "=cuid"]
    autocomplete_fields = ["workflow", "entity_name_type"]
    fields = [
        *SubscriptionForm.Meta.fields,
        *("disabled_because", "given_up_in_a_row", "created_at", "cuid"),
    ]
    readonly_fields = ["disabled_because", "given_up_in_a_row", "created_at", "cuid"]

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: Subscription) -> str:
        """The state, coloured."""
        return badge(row.state, row.get_state_display())

    @admin.display(description="events")
    def told_of(self, row: Subscription) -> str:
        """The events."""
        return ", ".join(row.events)

    @admin.display(description="only for")
    def narrowed_to(self, row: Subscription) -> str:
        """The workflow or the type that it is for alone."""
        return ", ".join(str(one) for one in (row.workflow, row.entity_name_type) if one)

    def get_urls(self) -> list[URLPattern]:
        """The pages of the project's own before the stock ones."""
        wrap = self.admin_site.admin_view
        own = [
            path(f"<int:pk>/{page}/", wrap(view), name=f"executions_subscription_{page}")
            for page, view in (("rotate", self.rotate_view), ("test", self.test_view))
        ]
        return [*own, *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save; a new one gets its secret."""
        super().save_model(request, obj, form, change)
        if not change:
            obj.secret = subscriptions.give_secret(obj)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret; a message would be kept in a cookie."""
        return self._shown_secret(request, obj, obj.secret)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The stock page, with what was told lately."""
        row = self.get_object(request, object_id)
        if row is not None:
            extra_context = {**(extra_context or {}), **self._told(request, row)}
        return super().change_view(request, object_id, form_url, extra_context)

    def _told(self, request: HttpRequest, row: Subscription) -> dict[str, Any]:
        may_manage = request.user.has_perm(MANAGE)
        found: dict[str, Any] = {
            "rotate_url": self._page(row, "rotate") if may_manage else None,
            "test_url": self._page(row, "test") if may_manage else None,
            "log_url": log_url(request, row.cuid),
            **history(request, row.cuid),
        }
        if request.user.has_perm(SEE):
            deliveries: QuerySet[OutgoingDelivery] = row.deliveries.prefetch_related("attempts")
            found["deliveries"] = [
                {"row": one, "attempts": list(one.attempts.all())}
                for one in deliveries.order_by("-pk")[:LISTED]
            ]
            listed = admin_url(OutgoingDelivery, "changelist", subscription=row.pk)
            found["deliveries_url"] = listed
        return found

    def _page(self, row: Subscription, page: str) -> str:
        return admin_url(Subscription, page, row.pk)

    def _found(self, pk: int) -> Subscription:
        row = Subscription._base_manager.filter(pk=pk).first()
        if row is None:
            raise Http404
        found: Subscription = row
        return found

    def rotate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET asks, POST replaces the secret and shows the new one."""
        self.require(request, MANAGE)
        row = self._found(pk)
        if request.method == "POST":
            try:
                secret = subscriptions.rotate_secret(row, by=request.user)
            except REFUSING as error:
                self.message_refusal(request, recorded(error))
                return HttpResponseRedirect(self._page(row, "change"))
            self.log_change(request, row, "Secret rotated.")
            return self._shown_secret(request, row, secret)
        return self._secret_page(request, row, asks=True)

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Where the button is posted to that has a test told."""
        self.require(request, MANAGE)
        row = self._found(pk)
        back = HttpResponseRedirect(self._page(row, "change"))
        if request.method != "POST":
            return back
        try:
            delivery = subscriptions.tell_test(row)
        except REFUSING as error:
            self.message_refusal(request, recorded(error))
            return back
        text = "A test is told with the next run of the background work."
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(admin_url(OutgoingDelivery, "change", delivery.pk))

    def _shown_secret(self, request: HttpRequest, row: Any, secret: str) -> HttpResponse:
        response = self._secret_page(request, row, secret=secret)
        response["Cache-Control"] = "no-store"
        # The secret is shown this once, so the answer cannot be repeated.
        return done_at(response, self._page(row, "change"))

    def _secret_page(self, request: HttpRequest, row: Any, **context: Any) -> HttpResponse:
        whole = {
            "title": "Rotate the secret" if context.get("asks") else "The secret",
            "hours": int(subscriptions.OVERLAP.total_seconds() // 3600),
            "back_url": self._page(row, "change"),
            **context,
        }
        return self.render_page(request, "executions/admin/webhook_secret.html", whole, row=row)


KINDS["webhook"] = Kind(Subscription, "url")
