"""A signed POST that starts a workflow: once for each delivery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from executions.models import Delivery, Entity
from executions.services.starting import start_within
from executions.webhooks.incoming import NoSuchHook, NotDeliverable, judge_delivery, parsed
from workflows.audit.log import Action, attempting, record, told
from workflows.db import locks
from workflows.db.json_values import kind, quoted, unstorable
from workflows.guards.database_errors import translated
from workflows.models import Version, Workflow

DB = "default"
NAMES = ("delivery", "entity")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a delivery asks for: the id that its sender gave it, and the entity."""

    delivery: str
    entity: Entity


def start_by_delivery(cuid: str, body: bytes, *, signed: str, timestamp: str) -> tuple[str, bool]:
    """Start the workflow that a signed body is posted to.

    ``body``: ``{"delivery": id, "entity": cuid}``; the id is the sender's, up to 128 characters.

    Returns:
        The cuid of the execution, and False when this delivery has started it before. It may
        have been deleted since.

    Raises:
        NoSuchHook, NotSigned, HookUnready: it is not taken.
        NotDeliverable: it asks for nothing that can be done, or its id has come before for
            another entity.
        Refusal: the workflow cannot start; the delivery may come again.
    """
    rows = Workflow._base_manager.filter(trigger=Workflow.Trigger.WEBHOOK)
    workflow = None if unstorable(cuid) else rows.filter(cuid=cuid).first()
    secret = workflow.trigger_data.get("secret") if workflow is not None else None
    if workflow is None or not isinstance(secret, str):
        raise NoSuchHook("No workflow is started here.")
    judge_delivery(secret, workflow.cuid, body, signed=signed, timestamp=timestamp)
    asked = _asked(body)
    after = {
        "trigger": workflow.trigger,
        "entity": asked.entity.cuid,
        "delivery": asked.delivery,
    }
    with attempting(lambda: [told(workflow, Action.STARTED, after=after)], using=DB):
        return _start_once(workflow, asked, after)


def _asked(body: bytes) -> Asked:
    value = parsed(body)
    if not isinstance(value, dict):
        raise NotDeliverable(f"The body is an object, not {kind(value)}.")
    for name in value:
        if name not in NAMES:
            raise NotDeliverable(f"{quoted(name)} is unknown here; known are: {', '.join(NAMES)}.")
    for name in NAMES:
        if not isinstance(value.get(name), str) or not value[name]:
            raise NotDeliverable(f"'{name}' must be a text, not {kind(value.get(name))}.")
    if len(value["delivery"]) > 128:
        raise NotDeliverable("'delivery' has more than 128 characters.")
    entity = Entity._base_manager.filter(cuid=value["entity"]).first()
    if entity is None:
        raise NotDeliverable(f"No entity has the cuid {quoted(value['entity'])}.")
    return Asked(value["delivery"], entity)


@translated
@locks.retrying
def _start_once(workflow: Workflow, asked: Asked, after: dict[str, str]) -> tuple[str, bool]:
    rows = Delivery.objects.filter(workflow=workflow, delivery=asked.delivery)
    try:
        with transaction.atomic():
            before = rows.select_related("execution__entity").first()
            if before is not None:
                return _started_before(before, asked), False
            execution = start_within(workflow, asked.entity.pk, None, None)
            Delivery.objects.create(
                workflow=workflow,
                delivery=asked.delivery,
                execution=execution,
                execution_cuid=execution.cuid,
                entity_cuid=asked.entity.cuid,
            )
            made = told(workflow, Action.STARTED, after={**after, "execution": execution.cuid})
            record([made], using=DB)
            return execution.cuid, True
    except (IntegrityError, Version.DoesNotExist) as error:
        # The version was replaced, or the same delivery came twice at once.
        raise locks.TryAgain from error


def _started_before(before: Delivery, asked: Asked) -> str:
    execution = before.execution
    # The release before this one stored neither.
    entity = before.entity_cuid or (execution.entity.cuid if execution else "")
    if entity and entity != asked.entity.cuid:
        raise NotDeliverable("This delivery has come before, for another entity.")
    cuid = before.execution_cuid or (execution.cuid if execution else "")
    if not cuid:
        raise NotDeliverable("This delivery has come before; its execution was deleted since.")
    return cuid


def forget_deliveries() -> int:
    """Forget the deliveries whose execution was deleted, once they are old enough.

    A sender may deliver again for ``WEBHOOK_KEEP_DAYS``. While the execution is there, its
    delivery is remembered.

    Returns:
        How many were forgotten, at most 1,000 at once.
    """
    before = timezone.now() - timedelta(days=settings.WEBHOOK_KEEP_DAYS)
    old = Delivery.objects.filter(execution=None, at__lt=before).order_by()
    ids = list(old.values_list("pk", flat=True)[:1000])
    return Delivery.objects.filter(pk__in=ids).delete()[0] if ids else 0
