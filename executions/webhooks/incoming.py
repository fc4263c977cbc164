"""What is delivered to a step that waits to be called, and to a workflow that a call starts."""

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
from executions.services.advancing import locked_advance
from workflows.db import locks
from workflows.db.json_values import InexactNumber, parse_json, unstorable, unstorable_in
from workflows.guards.database_errors import translated

logger = logging.getLogger(__name__)

SCHEME = "sha256="
FRESH = 300
"""By how many seconds a delivery's clock may differ."""


class NoSuchHook(Exception):
    """No step, and no workflow, has this address."""


class HookClosed(Exception):
    """The step was left, or its execution has ended."""


class NotSigned(Exception):
    """The signature is wrong, or it is not of this time."""


class NotDeliverable(Exception):
    """What was delivered is no JSON that can be stored."""


class HookUnready(Exception):
    """The signature cannot be judged now, or the step cannot go on: try again later."""


def signature(secret: str, cuid: str, timestamp: str, body: bytes) -> str:
    """The signature of a delivery: over the time and the step too, so that it is good for one."""
    signed = f"{timestamp}.{cuid}.".encode() + body
    return SCHEME + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def deliver(cuid: str, body: bytes, *, signed: str, timestamp: str) -> bool:
    """Give a signed body to the step that waits for it; False when it has had the same before.

    Raises ``NoSuchHook``, ``NotSigned``, ``HookClosed``, ``NotDeliverable``, ``HookUnready``.
    """
    step = Step.objects.filter(cuid=cuid, type=WEBHOOK)
    found = None if unstorable(cuid) else step.select_related("execution__version").first()
    if found is None:
        raise NoSuchHook("Nothing waits here.")
    node = found.execution.get_workflow_manager().node(found.node_id)
    judge_delivery(node.data["secret"], found.cuid, body, signed=signed, timestamp=timestamp)
    digest = hashlib.sha256(body).hexdigest()
    if found.state not in OPEN:
        return _delivered_before(found, digest)
    return _take(found, {"value": parsed(body), "sha256": digest})


def parsed(body: bytes) -> Any:
    """The JSON that was delivered. Raises ``NotDeliverable``."""
    try:
        value = parse_json(body)
    except RecursionError:
        raise NotDeliverable("The values are nested too deeply.") from None
    except InexactNumber as error:
        raise NotDeliverable(f"{error}.") from None
    except ValueError as error:
        raise NotDeliverable(f"The body is no JSON: {error}.") from None
    for _, detail in unstorable_in(value):
        raise NotDeliverable(detail)
    return value


def judge_delivery(
    secret_name: str, cuid: str, body: bytes, *, signed: str, timestamp: str
) -> None:
    """Raises ``NotSigned``, or ``HookUnready`` where the secret cannot be read."""
    try:
        secrets = Secret.named(secret_name).accepted()
    except SecretUnreadable as error:
        logger.error("A delivery to %s cannot be judged: %s", cuid, error)
        raise HookUnready("The delivery cannot be judged now.") from None
    expected = [signature(secret, cuid, timestamp, body).encode() for secret in secrets]
    is_signed = any(hmac.compare_digest(known, signed.encode()) for known in expected)
    # Digits of any script are decimal too; a time is written in these.
    is_time = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12
    now = timezone.now().timestamp()
    if not is_signed or not is_time or abs(now - int(timestamp)) > FRESH:
        raise NotSigned("The signature is wrong, or too old.")


@translated
@locks.retrying
def _take(step: Step, result: dict[str, Any]) -> bool:
    with transaction.atomic():
        try:
            advance, current = locked_advance(step.execution, None)
        except guards.Ended:
            return _delivered_before(Step.objects.get(pk=step.pk), result["sha256"])
        run = advance.run_of(current)
        found = next((row for row in run.open_steps if row.pk == step.pk), None)
        if found is None:
            return _delivered_before(Step.objects.get(pk=step.pk), result["sha256"])
        if found.state != StepState.OPEN:
            raise HookUnready("An operator has to decide about the step first.")
        visit = advance.visit(run, found)
        visit.behaviour.resume(visit, result)
        advance.finish()
        if found.state == StepState.INCIDENT:
            # The sender does not send it again: an operator finds it at the step.
            Step._base_manager.filter(pk=found.pk).update(input=result)
        return True


def _delivered_before(step: Step, digest: str) -> bool:
    if (step.output or {}).get("sha256") != digest:
        raise HookClosed("Nothing is waited for here any more.")
    return False
