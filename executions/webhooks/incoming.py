"""Incoming webhooks: signed requests to a waiting step, and the check of their signatures."""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import Any

from django.db import transaction
from django.utils import timezone

from executions import guards
from executions.engine.nodes.webhook import WEBHOOK
from executions.models import OPEN, Secret, SecretUnreadable, Step, StepState
from executions.services.advancing import lock_tree
from workflows.db import locks
from workflows.db.json_values import InexactNumber, find_unstorable, parse_json, storage_problem
from workflows.guards.database_errors import translate_database_errors

logger = logging.getLogger(__name__)

SCHEME = "sha256="
MAX_CLOCK_SKEW = 300
"""The number of seconds by which the timestamp of a delivery may differ from the time here."""


class WebhookNotFound(Exception):
    """No step and no workflow has this address."""


class WebhookClosed(Exception):
    """The step is closed, or its execution has ended."""


class InvalidSignature(Exception):
    """The signature is wrong, or its timestamp is too old."""


class InvalidDelivery(Exception):
    """The body is not JSON that can be stored, or is not what the webhook expects."""


class WebhookUnavailable(Exception):
    """The delivery cannot be accepted now; the sender has to try again later."""


def signature(secret: str, cuid: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a delivery.

    It covers the timestamp and the address too, so that it is valid for one delivery only.

    Args:
        cuid: the cuid of the step or the workflow.
        timestamp: seconds since 1970.
    """
    signed = f"{timestamp}.{cuid}.".encode() + body
    return SCHEME + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def deliver(cuid: str, body: bytes, *, signed: str, timestamp: str) -> bool:
    """Pass a signed body to the step that waits for it.

    Args:
        cuid: the cuid of the step.
        signed, timestamp: the headers of the delivery.

    Returns:
        False when the step has received the same body before.

    Raises:
        WebhookNotFound, InvalidSignature, WebhookClosed, InvalidDelivery, WebhookUnavailable: the
            delivery is rejected.
    """
    step = Step.objects.filter(cuid=cuid, type=WEBHOOK)
    found = None if storage_problem(cuid) else step.select_related("execution__version").first()
    if found is None:
        raise WebhookNotFound("No step waits for a request at this address.")
    node = found.execution.get_workflow_manager().node(found.node_id)
    verify_signature(node.data["secret"], found.cuid, body, signed=signed, timestamp=timestamp)
    digest = hashlib.sha256(body).hexdigest()
    if found.state not in OPEN:
        return _refuse_closed(found, digest)
    return _resume_step(found, {"value": parse_body(body), "sha256": digest})


def parse_body(body: bytes) -> Any:
    """Return the JSON of a delivery. Raise ``InvalidDelivery``."""
    try:
        value = parse_json(body)
    except RecursionError:
        raise InvalidDelivery("The values are nested too deeply.") from None
    except InexactNumber as error:
        raise InvalidDelivery(f"{error}.") from None
    except ValueError as error:
        raise InvalidDelivery(f"The body is not JSON: {error}.") from None
    for _, detail in find_unstorable(value):
        raise InvalidDelivery(detail)
    return value


def verify_signature(
    secret_name: str, cuid: str, body: bytes, *, signed: str, timestamp: str
) -> None:
    """Check the signature of a delivery against each accepted value of a secret.

    Raises:
        InvalidSignature: the signature or its timestamp is wrong.
        WebhookUnavailable: the secret cannot be read.
    """
    try:
        secrets = Secret.named(secret_name).accepted()
    except SecretUnreadable as error:
        logger.error("The signature of a delivery to %s cannot be checked: %s", cuid, error)
        raise WebhookUnavailable("The signature cannot be checked now. Try again later.") from None
    expected = [signature(secret, cuid, timestamp, body).encode() for secret in secrets]
    is_signed = any(hmac.compare_digest(known, signed.encode()) for known in expected)
    # The digits of other scripts are decimal too.
    is_time = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
    now = timezone.now().timestamp()
    if not is_signed or not is_time or abs(now - int(timestamp)) > MAX_CLOCK_SKEW:
        raise InvalidSignature("The signature or its timestamp is wrong.")


@translate_database_errors
@locks.retrying
def _resume_step(step: Step, result: dict[str, Any]) -> bool:
    with transaction.atomic():
        try:
            advance, current = lock_tree(step.execution, None)
        except guards.ExecutionEnded:
            return _refuse_closed(Step.objects.get(pk=step.pk), result["sha256"])
        run = advance.get_run(current)
        found = run.open_steps.find(step.pk)
        if found is None:
            return _refuse_closed(Step.objects.get(pk=step.pk), result["sha256"])
        if found.state != StepState.OPEN:
            raise WebhookUnavailable("The step has an incident: an operator has to resolve it.")
        visit = advance.visit_step(run, found)
        visit.resume(result)
        advance.finish()
        if found.state == StepState.INCIDENT:
            # The sender will not repeat the request: an operator finds the body at the step.
            Step._base_manager.filter(pk=found.pk).update(input=result)
        return True


def _refuse_closed(step: Step, digest: str) -> bool:
    """Return False for the same body as before; raise ``WebhookClosed`` for another one."""
    if (step.output or {}).get("sha256") != digest:
        raise WebhookClosed("The step no longer waits for a request.")
    return False
