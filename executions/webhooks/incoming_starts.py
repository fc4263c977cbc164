"""Incoming webhooks of workflows: a signed request starts an execution, once per delivery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from executions.models import Delivery, Entity
from executions.services.starting import start_under_locks
from executions.webhooks.incoming import (
    InvalidDelivery,
    WebhookNotFound,
    parse_body,
    verify_signature,
)
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.db import locks
from workflows.db.json_values import json_type, quoted, storage_problem
from workflows.guards.database_errors import translate_database_errors
from workflows.models import Version, Workflow

NAMES = ("delivery", "entity")


@dataclass(frozen=True, slots=True)
class StartRequest:
    """The body of a delivery: the id that the sender gave it, and the entity."""

    delivery: str
    entity: Entity


def start_from_delivery(cuid: str, body: bytes, *, signed: str, timestamp: str) -> tuple[str, bool]:
    """Start the workflow that a signed body was sent to.

    Args:
        cuid: the cuid of the workflow.
        body: ``{"delivery": id, "entity": cuid}``; the sender chooses the id, of up to 128
            characters.
        signed, timestamp: the headers of the delivery.

    Returns:
        The cuid of the execution, and False when this delivery has started it before. The
        execution may have been deleted since.

    Raises:
        WebhookNotFound, InvalidSignature, WebhookUnavailable: the delivery is rejected.
        InvalidDelivery: the body is wrong, or the id was used before for another entity.
        Refusal: the workflow cannot start. The sender may deliver again.
    """
    rows = Workflow._base_manager.filter(trigger=Workflow.Trigger.WEBHOOK)
    workflow = None if storage_problem(cuid) else rows.filter(cuid=cuid).first()
    secret = workflow.trigger_data.get("secret") if workflow is not None else None
    if workflow is None or not isinstance(secret, str):
        raise WebhookNotFound("No workflow starts at this address.")
    verify_signature(secret, workflow.cuid, body, signed=signed, timestamp=timestamp)
    request = _parse_request(body)
    after = {
        "trigger": workflow.trigger,
        "entity": request.entity.cuid,
        "delivery": request.delivery,
    }
    with recording_refusals(lambda: [make_attempt(workflow, Action.STARTED, after=after)]):
        return _start_once(workflow, request, after)


def _parse_request(body: bytes) -> StartRequest:
    value = parse_body(body)
    if not isinstance(value, dict):
        raise InvalidDelivery(f"The body must be an object, not {json_type(value)}.")
    for name in value:
        if name not in NAMES:
            raise InvalidDelivery(f"Unknown member {quoted(name)}. Allowed: {', '.join(NAMES)}.")
    for name in NAMES:
        if not isinstance(value.get(name), str):
            raise InvalidDelivery(f"'{name}' must be text, not {json_type(value.get(name))}.")
        if not value[name]:
            raise InvalidDelivery(f"'{name}' must not be empty.")
    if len(value["delivery"]) > 128:
        raise InvalidDelivery("'delivery' has more than 128 characters.")
    entity = Entity._base_manager.filter(cuid=value["entity"]).first()
    if entity is None:
        raise InvalidDelivery(f"No entity has the cuid {quoted(value['entity'])}.")
    return StartRequest(value["delivery"], entity)


@translate_database_errors
@locks.retrying
def _start_once(
    workflow: Workflow, request: StartRequest, after: dict[str, str]
) -> tuple[str, bool]:
    rows = Delivery.objects.filter(workflow=workflow, delivery=request.delivery)
    try:
        with transaction.atomic():
            before = rows.select_related("execution__entity").first()
            if before is not None:
                return _started_before(before, request), False
            execution = start_under_locks(workflow, request.entity.pk, None, None)
            Delivery.objects.create(
                workflow=workflow,
                delivery=request.delivery,
                execution=execution,
                execution_cuid=execution.cuid,
                entity_cuid=request.entity.cuid,
            )
            made = make_attempt(
                workflow, Action.STARTED, after={**after, "execution": execution.cuid}
            )
            record([made])
            return execution.cuid, True
    except (IntegrityError, Version.DoesNotExist) as error:
        # The version was replaced, or the same delivery arrived twice at the same time.
        raise locks.TryAgain from error


def _started_before(before: Delivery, request: StartRequest) -> str:
    execution = before.execution
    # The previous release stored neither of the two.
    entity = before.entity_cuid or (execution.entity.cuid if execution else "")
    if entity and entity != request.entity.cuid:
        raise InvalidDelivery("This delivery was used before, for another entity.")
    cuid = before.execution_cuid or (execution.cuid if execution else "")
    if not cuid:
        raise InvalidDelivery("This delivery was used before. Its execution has been deleted.")
    return cuid


def purge_incoming_deliveries() -> int:
    """Delete the deliveries older than ``WEBHOOK_KEEP_DAYS`` whose execution was deleted.

    A delivery is kept as long as its execution, so that a repetition finds it.

    Returns:
        The number of deleted rows, at most 1,000.
    """
    before = timezone.now() - timedelta(days=settings.WEBHOOK_KEEP_DAYS)
    old = Delivery.objects.filter(execution=None, at__lt=before).order_by()
    ids = list(old.values_list("pk", flat=True)[:1000])
    return Delivery.objects.filter(pk__in=ids).delete()[0] if ids else 0
