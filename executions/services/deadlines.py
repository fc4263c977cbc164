"""Deadlines of open steps: their reminders, and what happens when they pass."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext

from executions.engine.node_visit import NodeVisit
from executions.engine.nodes import deadline, mail
from executions.engine.nodes.assignees import candidates, eligible_candidates
from executions.engine.nodes.behaviour import TIMEOUT
from executions.models import FOR_PEOPLE, Job, JobKind, Step
from executions.services.reassigning import assignee_names, replace_candidates
from workflows.audit.log import Action, make_attempt
from workflows.models.candidate import node_key
from workflows.refusals import Attempt
from workflows.values import moments

TIMED_OUT = "The deadline of the step that called it has passed."


def pass_deadline(visit: NodeVisit) -> list[Attempt]:
    """Serve the job of a deadline: send a reminder, leave the step, or mark it as overdue.

    Returns:
        The entries for the audit log, to be recorded after the advance.
    """
    step = visit.step
    if step.due_at is not None and deadline.is_reminder(visit.node, step.due_at, visit.now):
        _remind(visit)
        at = deadline.next_wakeup(visit.node, step.due_at, visit.now)
        visit.schedule_job(JobKind.DEADLINE, at)
        return []
    if visit.run.manager.has_exit(visit.node.id, TIMEOUT):
        visit.leave(TIMEOUT, output={"timed_out_at": visit.now.isoformat()})
        visit.advance.cancel_child(step, TIMED_OUT)
        return []
    step.overdue = True
    visit.advance.mark_changed(step)
    notice = deadline.mail_of(visit.node)
    if notice is not None:
        _schedule_notice(visit, fields=visit.read_fields(mail.names_in(notice)))
    return _escalate(visit)


def write_notice(visit: NodeVisit, **values: Any) -> None:
    """Store the state of the mail about a deadline."""
    # The advance does not read the notice. Clients that poll see that the execution has changed.
    visit.advance.mark_changed(visit.step)
    notice = {"at": visit.now.isoformat().replace("+00:00", "Z"), **values}
    Step._base_manager.filter(pk=visit.step.pk).update(notice=notice)


def finish_notice(visit: NodeVisit, **values: Any) -> None:
    """Store the result of the mail about a deadline: sent or failed."""
    pending = Step._base_manager.filter(pk=visit.step.pk).values_list("notice", flat=True).first()
    if (pending or {}).get("reminder"):
        values["reminder"] = True
    write_notice(visit, **values)


def _schedule_notice(visit: NodeVisit, **values: Any) -> None:
    # A reminder may still be waiting for the mail server.
    Job.objects.filter(step=visit.step, kind=JobKind.OVERDUE).delete()
    write_notice(visit, state="pending", **values)
    visit.schedule_job(JobKind.OVERDUE, visit.now)


def _remind(visit: NodeVisit) -> None:
    """Schedule the mail to all assignees who can do the step."""
    to = _addresses(visit.candidates_key)
    if not to:
        detail = gettext("No assignee has an email address.")
        write_notice(visit, state="failed", code="no_address", detail=detail, reminder=True)
        return
    due = visit.step.due_at
    message = {
        "to": to,
        "subject": gettext("Reminder: {{step}}"),
        "body": gettext("“{{step}}” on “{{entity}}” is due on {{due}}."),
    }
    fields = {
        "step": visit.node.label,
        "entity": str(visit.advance.entity),
        "due": "" if due is None else moments.format_moment(due),
    }
    _schedule_notice(visit, mail=message, fields=fields, reminder=True)


def _addresses(key: str) -> list[str]:
    users = eligible_candidates(key).exclude(email="").order_by("pk").distinct()
    return list(dict.fromkeys(users.values_list("email", flat=True)))


def _escalate(visit: NodeVisit) -> list[Attempt]:
    """Add the assignees of ``escalate`` to an overdue step, and return the audit entry."""
    if visit.node.type not in FOR_PEOPLE:
        return []
    current = visit.run.execution
    before = list(candidates(visit.candidates_key))
    known = {(row.is_group, row.group_id, row.user_id) for row in before}
    key = node_key(current.version_id, visit.node.id, escalates=True)
    added = [
        row for row in candidates(key) if (row.is_group, row.group_id, row.user_id) not in known
    ]
    if not added:
        return []
    names_before = assignee_names(before)
    rows = [*before, *added]
    for row in rows:
        row.pk, row._state.adding = None, True
    replace_candidates(visit, rows)
    entry = make_attempt(
        current,
        Action.REASSIGNED,
        before={"node": visit.node.id, **names_before},
        after={"node": visit.node.id, "step": visit.step.cuid, **assignee_names(rows)},
        why=gettext("The deadline has passed."),
    )
    return [entry]
