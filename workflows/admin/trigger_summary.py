"""What starts a workflow, as its page says it; for a webhook, where to and how to post."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from workflows.models import Workflow
from workflows.trigger_types import trigger_kinds

_EXAMPLE = """\
SECRET='the value of {secret}'
BODY='{{"delivery": "an id of your own", "entity": "the cuid of an entity"}}'
AT=$(date +%s)
SIGNED=$(printf '%s' "$AT.{cuid}.$BODY" |
  openssl dgst -sha256 -hmac "$SECRET" -r | cut -d' ' -f1)
curl -X POST -d "$BODY" -H 'Content-Type: application/json' \\
  -H "X-Holdfast-Timestamp: $AT" -H "X-Holdfast-Signature: sha256=$SIGNED" \\
  '{url}'
"""


def starts(request: HttpRequest, workflow: Workflow) -> dict[str, Any]:
    """What the page shows of the stored trigger: a sentence, and the example of a POST."""
    kind = trigger_kinds().get(workflow.trigger)
    data = workflow.trigger_data
    if kind is None or not isinstance(data, dict) or any(kind.problems(data)):
        return {"told": "Nothing starts it: the details of its trigger have no meaning."}
    found: dict[str, Any] = {"told": kind.told(data)}
    is_by_hand = workflow.trigger == Workflow.Trigger.MANUAL
    if workflow.state != Workflow.State.ACTIVE and not is_by_hand:
        state = "a draft" if workflow.state == Workflow.State.DRAFT else workflow.state
        found["waits"] = f"It is {state}: nothing does until it is active."
    if workflow.trigger == Workflow.Trigger.WEBHOOK:
        url = request.build_absolute_uri(reverse("api:workflow-hook", args=[workflow.cuid]))
        found["url"] = url
        found["example"] = _EXAMPLE.format(secret=data["secret"], cuid=workflow.cuid, url=url)
    return found
