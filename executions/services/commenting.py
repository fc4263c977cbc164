"""Commenting on an execution, and withdrawing a comment."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.models import MAX_TEXT_LENGTH, OPERATE, Comment, Execution, Step
from executions.services.advancing import lock_execution
from executions.services.decisions import require_reason
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.db import clock, locks
from workflows.db.json_values import quoted, storage_problem
from workflows.guards.database_errors import translate_database_errors
from workflows.refusals import Problem, Refusal


class InvalidComment(Refusal):
    message = _("The comment is not valid.")
    code = "invalid_comment"


class NotAuthor(Refusal):
    message = _("Only its author or an operator can withdraw a comment.")
    code = "not_author"


@translate_database_errors
@locks.retrying
def comment(execution: Execution, *, text: str, by: Any, step: str | None = None) -> Comment:
    """Add a comment to an execution, live or ended.

    Args:
        step: the cuid of a step of the execution that the comment is about.

    Raises:
        InvalidComment: the text is blank or too long, or the execution has no such step.
        RowDeleted: the execution has been deleted.
    """
    _refuse_text(text)
    with transaction.atomic():
        # The events of an execution happen under its lock.
        _root, current = lock_execution(execution)
        about = _find_step(current, step) if step else None
        row = Comment.objects.create(
            execution=current, step=step or "", author=by, text=text, at=clock.now()
        )
        after = {"comment": row.cuid, "step": step, "node": about and about.node_id}
        record([make_attempt(current, Action.COMMENTED, after=after, by=by)])
        return row


def _refuse_text(text: str) -> None:
    detail = None
    if not text.strip():
        detail = gettext("Write a text.")
    elif len(text) > MAX_TEXT_LENGTH:
        detail = gettext("The text has more than %(most)s characters.") % {"most": MAX_TEXT_LENGTH}
    elif problem := storage_problem(text):
        detail = str(problem)
    if detail:
        raise InvalidComment(detail, problems=[Problem("/text", InvalidComment.code, detail)])


def _find_step(execution: Execution, cuid: str) -> Step:
    rows = Step.objects.filter(execution=execution)
    step = None if storage_problem(cuid) else rows.filter(cuid=cuid).first()
    if step is None:
        detail = gettext("The execution has never waited at a step %(cuid)s.") % {
            "cuid": quoted(cuid)
        }
        raise InvalidComment(detail, problems=[Problem("/step", InvalidComment.code, detail)])
    return step


def withdraw_comment(row: Comment, *, by: Any, why: str = "") -> Comment:
    """Hide the text of a comment; the entry stays. A withdrawn comment stays as it is.

    Args:
        by: the author, or an operator.
        why: the reason; operators have to give one for the comment of somebody else.

    Raises:
        NotAuthor: ``by`` is neither the author nor an operator.
        ReasonRequired: ``why`` is blank.
    """
    values = {"comment": row.cuid, "step": row.step or None}

    def attempt() -> Any:
        action = Action.COMMENT_WITHDRAWN
        return make_attempt(row.execution, action, after=values, why=why, by=by)

    with recording_refusals(lambda: [attempt()]):
        if row.author_id is None or row.author_id != by.pk:
            if not by.has_perm(OPERATE):
                raise NotAuthor
            require_reason(why)
        return _withdraw(row, by, attempt)


@translate_database_errors
@locks.retrying
def _withdraw(row: Comment, by: Any, attempt: Any) -> Comment:
    with transaction.atomic():
        lock_execution(row.execution)
        open_rows = Comment.objects.filter(pk=row.pk, withdrawn_at=None)
        if open_rows.update(withdrawn_at=clock.now(), withdrawn_by=by):
            record([attempt()])
        row.refresh_from_db()
        return row
