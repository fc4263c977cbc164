"""What uses secrets: versions that live executions run, and workflows that may be started."""

from __future__ import annotations

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from executions.models import Execution, Pin
from workflows.guards import secrets_in, secrets_of_trigger
from workflows.models import Version, Workflow

ACTIVE = Workflow.State.ACTIVE
WEBHOOK = Workflow.Trigger.WEBHOOK


def live_versions() -> QuerySet[Version]:
    """Return the versions that a live execution runs or has pinned, and the latest ones of active
    workflows.
    """
    running = Execution.objects.live().order_by().values("version")
    pinned = Pin.objects.live().order_by().values("version")
    latest = Version.objects.latest_of_each().filter(workflow__state=ACTIVE)
    return Version.objects.filter(
        Q(pk__in=running) | Q(pk__in=pinned) | Q(pk__in=latest.order_by().values("pk"))
    )


def versions_naming_secrets(text: str = "secret") -> QuerySet[Version]:
    """Return the live versions whose source holds this text: all that may use a secret."""
    # The names of secrets are ASCII, so that JSON spells them in one way.
    rows = live_versions().annotate(text=Cast("source", TextField()))
    return rows.filter(text__contains=text).select_related("workflow").order_by("pk")


def active_webhooks() -> QuerySet[Workflow]:
    """Return the active workflows that signed webhooks start."""
    return Workflow.objects.filter(state=ACTIVE, trigger=WEBHOOK).order_by("pk")


def users_of_secret(name: str) -> tuple[QuerySet[Execution], QuerySet[Workflow]]:
    """Return the live executions and the active workflows that use the secret of this name."""
    versions = [
        version.pk
        for version in versions_naming_secrets(name).iterator(100)
        if name in {named for _, named in secrets_in(version.source)}
    ]
    started = [
        row.pk
        for row in active_webhooks()
        if name in {named for _, named in secrets_of_trigger(row.trigger, row.trigger_data)}
    ]
    pinned = Pin.objects.live().filter(version__in=versions).values("root")
    executions = Execution.objects.live().filter(Q(version__in=versions) | Q(pk__in=pinned))
    latest = Version.objects.latest_of_each().filter(pk__in=versions)
    workflows = Workflow.objects.filter(state=ACTIVE).filter(
        Q(pk__in=started) | Q(pk__in=latest.order_by().values("workflow"))
    )
    return executions, workflows
