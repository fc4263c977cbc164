"""The pages of what is told to webhooks: each attempt, and a button to tell it again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path

from executions.models import REDELIVER, OutgoingDelivery, Subscription
from executions.webhooks import subscriptions
from executions.webhooks.outgoing import visible_payload
from workflows.admin.base.formatting import admin_url, badge, link, preformatted
from workflows.admin.base.link_filters import narrowed
from workflows.admin.base.read_only import ToldAdmin
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING


@admin.register(OutgoingDelivery)
class OutgoingDeliveryAdmin(ToldAdmin):
    """What is told: to whom, when, and what came of it."""

    list_display = ["event", "state_badge", "subscription", "at", "number_of_attempts", "cuid"]
    list_filter = ["state", "event", narrowed("subscription", Subscription), "at"]
    list_select_related = ["subscription"]
    search_fields = ["=cuid"]
    csv_columns = {
        **{name: name for name in ("cuid", "event", "state", "at")},
        "webhook": "subscription.url",
        "attempts": "tried",
    }
    page_template = "executions/admin/webhook_delivery.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Deliveries with the number of their attempts."""
        rows: QuerySet[Any] = super().get_queryset(request).annotate(tried=Count("attempts"))
        return rows

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: OutgoingDelivery) -> str:
        """The state, coloured."""
        return badge(row.state, row.get_state_display())

    @admin.display(description="attempts", ordering="tried")
    def number_of_attempts(self, row: Any) -> int:
        """How often it was tried."""
        return int(row.tried)

    def get_urls(self) -> list[URLPattern]:
        """The button's address before the stock pages."""
        view = self.admin_site.admin_view(self.redeliver_view)
        name = "executions_outgoingdelivery_redeliver"
        return [path("<int:pk>/redeliver/", view, name=name), *super().get_urls()]

    def told(self, request: HttpRequest, row: OutgoingDelivery, **given: Any) -> dict[str, Any]:
        """What is posted, and each attempt."""
        may = request.user.has_perm(REDELIVER)
        webhook = row.subscription
        return {
            "title": "Delivery to a webhook",
            "delivery": row,
            "webhook": webhook,
            "webhook_link": link(webhook, webhook.url),
            "payload": preformatted(visible_payload(row, request.user)),
            "attempts": list(row.attempts.order_by("pk")),
            "redeliver_url": admin_url(OutgoingDelivery, "redeliver", row.pk) if may else None,
        }

    def redeliver_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Where the button is posted to."""
        self.require(request, REDELIVER)
        row = OutgoingDelivery.objects.select_related("subscription").filter(pk=pk).first()
        if row is None:
            raise Http404
        if request.method == "POST":
            try:
                subscriptions.redeliver(row)
            except REFUSING as error:
                self.message_refusal(request, recorded(error))
            else:
                self.log_change(request, row, "Told again.")
                text = "It is told again with the next run of the background work."
                self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(admin_url(OutgoingDelivery, "change", pk))
