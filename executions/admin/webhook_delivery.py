"""Pages of webhook deliveries: the attempts, the payload and a new delivery."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.models import REDELIVER, OutgoingDelivery, Subscription
from executions.webhooks import subscriptions
from executions.webhooks.outgoing import visible_payload
from workflows.admin.base.filters import related_row_filter
from workflows.admin.base.formatting import admin_url, badge, json_block, link
from workflows.admin.base.model_admin import ReadOnlyAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal


@admin.register(OutgoingDelivery)
class OutgoingDeliveryAdmin(ReadOnlyAdmin):
    """Webhook deliveries: their event, webhook, state and attempts."""

    empty_text = _("Events that webhooks send appear here.")
    list_display = ["event", "state_badge", "subscription", "at", "number_of_attempts"]
    optional_columns = ("public_id",)
    list_filter = ["state", "event", related_row_filter("subscription", Subscription), "at"]
    list_select_related = ["subscription"]
    search_fields = ["=cuid"]
    csv_columns = {
        **{name: name for name in ("cuid", "event", "state", "at")},
        "webhook": "subscription.url",
        "attempts": "tried",
    }
    page_template = "executions/admin/webhook_delivery.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the deliveries with the number of their attempts."""
        rows: QuerySet[Any] = super().get_queryset(request).annotate(tried=Count("attempts"))
        return rows

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, row: OutgoingDelivery) -> str:
        """Return the state as a badge."""
        return badge(row.state, row.get_state_display())

    @admin.display(description=_("attempts"), ordering="tried")
    def number_of_attempts(self, row: Any) -> int:
        """Return the number of attempts."""
        return int(row.tried)

    def get_urls(self) -> list[URLPattern]:
        """Add the route of the button that delivers the event again."""
        view = self.admin_site.admin_view(self.redeliver_view)
        name = "executions_outgoingdelivery_redeliver"
        return [path("<int:pk>/redeliver/", view, name=name), *super().get_urls()]

    def row_context(self, request: HttpRequest, row: Any, **options: Any) -> dict[str, Any]:
        """Return the payload and the attempts of one delivery."""
        may_redeliver = request.user.has_perm(REDELIVER)
        webhook = row.subscription
        return {
            "title": gettext("Webhook delivery"),
            "delivery": row,
            "webhook": webhook,
            "webhook_link": link(webhook, webhook.url),
            "payload": json_block(visible_payload(row, request.user)),
            "attempts": list(row.attempts.order_by("pk")),
            "redeliver_url": admin_url(OutgoingDelivery, "redeliver", row.pk)
            if may_redeliver and webhook.state == Subscription.State.ACTIVE
            else None,
        }

    def redeliver_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Deliver the event again on POST."""
        self.require(request, REDELIVER)
        row = OutgoingDelivery.objects.select_related("subscription").filter(pk=pk).first()
        if row is None:
            raise Http404
        if request.method == "POST":
            try:
                subscriptions.redeliver(row)
            except REFUSING as error:
                self.message_refusal(request, log_refusal(error))
            else:
                self.log_change(request, row, gettext("Delivered again."))
                text = gettext("The background worker will deliver the event again.")
                self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(admin_url(OutgoingDelivery, "change", pk))
