"""A refusal as a page shows it: the sentence, what stands in the way as links, what helps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.forms.utils import ErrorList
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from workflows.admin.base.formatting import admin_url, execution_model
from workflows.audit import actor
from workflows.db import locks
from workflows.editing import idempotency
from workflows.guards.database_errors import as_refusal
from workflows.models import Workflow
from workflows.models.pending_change import draining
from workflows.refusals import Refusal
from workflows.visibility import may_view

REFUSING = (Refusal, locks.Contention, DatabaseError)
"""What an edit can be refused by; ``refusal_of`` says whether it was."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """Something that stands in the way, with the address of its page if it still has one."""

    text: str
    url: str | None
    status: str = ""
    note: str = ""
    cancel_url: str | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """A way forward: the sentence, and the page where it can be gone."""

    detail: str
    url: str | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """A refusal with everything that its template shows."""

    message: str
    code: str
    details: list[str] = field(default_factory=list)
    executions: list[Blocker] = field(default_factory=list)
    workflows: list[Blocker] = field(default_factory=list)
    more: int = 0
    hidden: int = 0
    """How many executions stand in the way that who reads it may not view."""
    ways: list[Way] = field(default_factory=list)


def refusal_of(error: Exception) -> Refusal | None:
    """The refusal that an exception stands for; None when it is a fault.

    Raises the exception again where the whole request can be begun anew.
    """
    if idempotency.is_under_way() and locks.can_begin_anew(error):
        raise error
    if isinstance(error, Refusal):
        return error
    if isinstance(error, DatabaseError) and not locks.is_passing(error):
        return as_refusal(error)
    if isinstance(error, (locks.Contention, DatabaseError)):
        return Refusal(str(locks.Contention.message), code=locks.Contention.code)
    return None


def _ids(model: Any, cuids: Iterable[str]) -> dict[str, int]:
    wanted = set(cuids)
    rows = model._base_manager.filter(cuid__in=wanted).values_list("cuid", "pk") if wanted else ()
    return dict(rows)


LEADS_TO_GROUP = {"change_together": "Choose these {}", "when_drained": "Change when drained"}


def _ways(
    refusal: Refusal,
    ids: dict[str, int],
    kind: str | None,
    here: str,
    may_change: bool,
    may_cancel: bool,
) -> Iterable[Way]:
    for remedy in refusal.remedies:
        group = [ids[cuid] for cuid in remedy.workflows if cuid in ids]
        if remedy.code in LEADS_TO_GROUP and group:
            query = {"workflows": ",".join(map(str, group)), **({"type": kind} if kind else {})}
            url = admin_url(Workflow, "change_type", **query)
            label = LEADS_TO_GROUP[remedy.code].format(len(group))
            is_open = may_change and url != here
            yield Way(remedy.detail, url if is_open else None, label)
        elif remedy.code == "withdraw" and group:
            changes = {row.change_id: row.change for row in draining(group)}
            yield Way(remedy.detail)
            for change in changes.values():
                url = admin_url(change, "change", change.pk)
                yield Way(f"To “{change.context_type}”:", url, "Open the change on hold")
        elif remedy.code == "finish_or_cancel" and group:
            titles = {row.workflow_cuid: row.workflow_title for row in refusal.blockers.executions}
            yield Way(remedy.detail)
            for cuid, title in titles.items():
                if cuid in remedy.workflows and cuid in ids:
                    live = admin_url(
                        execution_model(), "changelist", workflow=ids[cuid], live="yes"
                    )
                    label = "See or cancel them" if may_cancel else "See them"
                    yield Way(f"Those of “{title}”:", live, label)
        else:
            yield Way(remedy.detail)


def describe(
    refusal: Refusal,
    *,
    kind: str | None = None,
    here: str = "",
    may_change: bool = True,
    may_cancel: bool = False,
) -> Described:
    """Say all that a refusal knows.

    Args:
        may_change: whether who reads it may change types; who may not is led to no such page.
        may_cancel: whether who reads it is led to where an execution is cancelled.
        kind: the type that was asked for, where one was.
        here: the address of the page that shows it, which it need not link.
    """
    blockers = refusal.blockers
    reader = actor.user()
    is_shown = reader is None or may_view(reader, execution_model())
    blocking = blockers.executions if is_shown else ()
    hidden = len(blockers.executions) - len(blocking)
    executions = _ids(execution_model(), (row.cuid for row in blocking))
    named = {row.cuid for row in blockers.workflows}
    named.update(cuid for remedy in refusal.remedies for cuid in remedy.workflows)
    workflows = _ids(Workflow, named)

    def page(model: Any, ids: dict[str, int], cuid: str) -> str | None:
        return admin_url(model, "change", ids[cuid]) if cuid in ids else None

    listed = len(blockers.executions) + len(blockers.workflows)
    return Described(
        message=str(refusal.message),
        code=refusal.code,
        details=list(
            dict.fromkeys(
                row.detail
                for row in refusal.problems
                if row.pointer and row.detail != refusal.message
            )
        ),
        executions=[
            Blocker(
                row.cuid,
                page(execution_model(), executions, row.cuid),
                row.status,
                row.workflow_title,
                admin_url(execution_model(), "cancel", executions[row.cuid])
                if may_cancel and row.cuid in executions
                else None,
            )
            for row in blocking
        ],
        workflows=[
            Blocker(row.title, page(Workflow, workflows, row.cuid)) for row in blockers.workflows
        ],
        more=max(blockers.total - listed, 0),
        hidden=hidden,
        ways=list(_ways(refusal, workflows, kind, here, may_change, may_cancel)),
    )


def as_html(
    refusal: Refusal, *, kind: str | None = None, here: str = "", may_cancel: bool = False
) -> SafeString:
    """The refusal as a block of a page or as a message."""
    described = describe(refusal, kind=kind, here=here, may_cancel=may_cancel)
    return render_to_string("workflows/admin/refusal.html", {"refusal": described})


class RefusalList(ErrorList):
    """The errors of a field; a refusal among them brings its blockers and remedies along."""

    template_name = "workflows/admin/errors.html"
    template_name_ul = "workflows/admin/errors.html"

    def get_context(self) -> dict[str, Any]:
        """The errors, a refusal described and any other as its sentences."""
        rows = [
            (describe(error), [])
            if isinstance(error, Refusal)
            else (None, ValidationError([error]).messages)
            for error in self.as_data()
        ]
        return {**super().get_context(), "rows": rows}
