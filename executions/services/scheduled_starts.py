"""Scheduled starts: an occurrence starts a workflow once on an entity."""

from __future__ import annotations

from datetime import datetime

from executions.engine import rules
from executions.models import Execution, ScheduledStart, TriggeredStart
from workflows.models import Workflow


def claim_occurrence(row: TriggeredStart, workflow: Workflow, occurrence: datetime) -> bool:
    """Record that an occurrence starts the workflow, under the lock of the entity.

    Returns:
        False when the start must not be made: it was made before, the workflow has lost its
        schedule, an execution of it is live, or the rule does not hold any more.
    """
    if workflow.trigger != Workflow.Trigger.SCHEDULE:
        return False
    same = {"workflow": workflow, "entity": row.entity}
    if ScheduledStart.objects.filter(**same, occurrence=occurrence).exists():
        return False
    if Execution.objects.live().filter(**same).exists():
        return False
    rule = workflow.trigger_data.get("rule")
    if rule is not None and not rules.holds(rule, row.entity.fields):
        return False
    ScheduledStart.objects.create(**same, occurrence=occurrence)
    return True
