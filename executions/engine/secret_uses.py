"""The users of secrets: versions of live executions, and workflows that can be started."""

from __future__ import annotations

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from executions.models import ClosureMember, Execution
from workflows.guards import find_secrets, find_trigger_secrets
from workflows.models import Version, Workflow

ACTIVE = Workflow.State.ACTIVE
WEBHOOK = Workflow.Trigger.WEBHOOK


def live_versions() -> QuerySet[Version]:
    """Return the versions that live executions run or have pinned, and the latest versions of
    active workflows.
    """
    live = Execution.objects.live().order_by()
    running = live.values("version")
    closures = live.filter(closure__isnull=False).values("closure")
    pinned = ClosureMember.objects.filter(closure__in=closures).order_by().values("version")
    latest = Version.objects.latest_of_each().filter(workflow__state=ACTIVE)
    return Version.objects.filter(
        Q(pk__in=running) | Q(pk__in=pinned) | Q(pk__in=latest.order_by().values("pk"))
    )


def versions_naming_secrets(text: str = "secret") -> QuerySet[Version]:
    """Return the live versions whose source contains this text, and so may use a secret."""
    # The names of secrets are ASCII: JSON has one spelling for them.
    rows = live_versions().annotate(text=Cast("source", TextField()))
    return rows.filter(text__contains=text).select_related("workflow").order_by("pk")


def active_webhooks() -> QuerySet[Workflow]:
    """Return the active workflows with a webhook trigger."""
    return Workflow.objects.filter(state=ACTIVE, trigger=WEBHOOK).order_by("pk")


def users_of_secret(name: str) -> tuple[QuerySet[Execution], QuerySet[Workflow]]:
    """Return the live executions and the active workflows that use this secret."""
    versions = [
        version.pk
        for version in versions_naming_secrets(name).iterator(100)
        if name in {named for _, named in find_secrets(version.source)}
    ]
    started = [
        row.pk
        for row in active_webhooks()
        if name in {named for _, named in find_trigger_secrets(row.trigger, row.trigger_data)}
    ]
    closures = ClosureMember.objects.filter(version__in=versions).order_by().values("closure")
    executions = Execution.objects.live().filter(Q(version__in=versions) | Q(closure__in=closures))
    latest = Version.objects.latest_of_each().filter(pk__in=versions)
    workflows = Workflow.objects.filter(state=ACTIVE).filter(
        Q(pk__in=started) | Q(pk__in=latest.order_by().values("workflow"))
    )
    return executions, workflows
