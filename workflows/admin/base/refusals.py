"""Refusals on pages: the message, the blockers as links, the remedies as buttons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.db.models import QuerySet
from django.forms.utils import ErrorList
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from workflows.admin.base.formatting import admin_url, execution_model
from workflows.audit import actor
from workflows.audit.log import record_refusal
from workflows.db import locks
from workflows.editing import idempotency
from workflows.guards.database_errors import find_refusal
from workflows.models import Workflow
from workflows.models.pending_change import find_draining
from workflows.refusals import Attempt, Refusal
from workflows.visibility import may_view

REFUSING = (Refusal, locks.Contention, DatabaseError)
"""Exceptions that may be refusals; ``refusal_of`` decides."""


@dataclass(frozen=True, slots=True)
class BlockerLink:
    """A blocking execution or workflow, with the URL of its page if it still exists."""

    text: str
    url: str | None
    status: str = ""
    status_label: str = ""
    cancel_url: str | None = None


@dataclass(frozen=True, slots=True)
class RemedyLink:
    """A remedy: a sentence and the page where it can be applied."""

    detail: str
    url: str | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class RefusalContext:
    """The template context of a refusal."""

    message: str
    code: str
    details: list[str] = field(default_factory=list)
    executions: list[BlockerLink] = field(default_factory=list)
    workflows: list[BlockerLink] = field(default_factory=list)
    more: int = 0
    hidden: int = 0
    """The number of blocking executions that the user may not view."""
    remedies: list[RemedyLink] = field(default_factory=list)


def refusal_of(error: Exception) -> Refusal | None:
    """Return the refusal that an exception means, or None for a fault.

    Raises:
        Exception: the same exception, if the whole request can be retried.
    """
    if idempotency.is_in_progress() and locks.can_retry(error):
        raise error
    if isinstance(error, Refusal):
        return error
    if isinstance(error, DatabaseError) and not locks.is_transient(error):
        return find_refusal(error)
    if isinstance(error, (locks.Contention, DatabaseError)):
        return Refusal(str(locks.Contention.message), code=locks.Contention.code)
    return None


def log_refusal(error: Exception, attempts: Callable[[], Sequence[Attempt]] = list) -> Refusal:
    """Record a refusal in the audit log and return it.

    Args:
        attempts: returns what the page tried. Called if the refusal does not know it because a
            database key raised it and not a guard.

    Raises:
        Exception: the same exception, if it is a fault and not a refusal.
    """
    refusal = refusal_of(error)
    if refusal is None:
        raise error
    # Contention decides nothing: a retry may succeed.
    if not refusal.attempts and refusal.code != locks.Contention.code:
        refusal.attempts = attempts()
    record_refusal(refusal)
    return refusal


def _by_cuid(rows: QuerySet[Any], cuids: Iterable[str]) -> dict[str, Any]:
    return {row.cuid: row for row in rows.filter(cuid__in=set(cuids))}


GROUP_REMEDY_LABELS = {
    "change_together": gettext_lazy("Select these %(number)s workflows"),
    "when_drained": gettext_lazy("Put the change on hold…"),
}
"""Labels of the buttons that open the type change with all workflows of a remedy."""


def _remedy_links(
    refusal: Refusal,
    workflows: dict[str, Any],
    wanted_type: str | None,
    here: str,
    may_change: bool,
    may_cancel: bool,
) -> Iterator[RemedyLink]:
    for remedy in refusal.remedies:
        group = [workflows[cuid].pk for cuid in remedy.workflows if cuid in workflows]
        if remedy.code in GROUP_REMEDY_LABELS and group:
            query = {"workflows": ",".join(map(str, sorted(group)))}
            if wanted_type:
                query["type"] = wanted_type
            url = admin_url(Workflow, "change_type", **query)
            label = str(GROUP_REMEDY_LABELS[remedy.code]) % {"number": len(group)}
            yield RemedyLink(remedy.detail, url if may_change and url != here else None, label)
        elif remedy.code == "withdraw" and (links := list(_pending_change_links(group))):
            # The links replace the detail, which names the changes by cuid.
            yield from links
        elif remedy.code == "finish_or_cancel" and group:
            yield RemedyLink(remedy.detail)
            wanted = set(remedy.workflows)
            yield from _live_execution_links(refusal, workflows, wanted, may_cancel)
        else:
            yield RemedyLink(remedy.detail)


def _pending_change_links(workflow_ids: list[int]) -> Iterator[RemedyLink]:
    changes = {row.change_id: row.change for row in find_draining(workflow_ids)}
    for change in changes.values():
        yield RemedyLink(
            _("Wait until the change to “%(type)s” has been applied, or withdraw it.")
            % {"type": change.context_type},
            admin_url(change, "change", change.pk),
            _("Open the change on hold"),
        )


def _live_execution_links(
    refusal: Refusal, workflows: dict[str, Any], wanted: set[str], may_cancel: bool
) -> Iterator[RemedyLink]:
    titles = {row.workflow_cuid: row.workflow_title for row in refusal.blockers.executions}
    for cuid, title in titles.items():
        if cuid in wanted and cuid in workflows:
            yield RemedyLink(
                _("Executions of “%(workflow)s”:") % {"workflow": title},
                admin_url(execution_model(), "changelist", workflow=workflows[cuid].pk, live="yes"),
                _("View or cancel them") if may_cancel else _("View them"),
            )


def describe(
    refusal: Refusal,
    *,
    wanted_type: str | None = None,
    here: str = "",
    may_change: bool = True,
    may_cancel: bool = False,
    known: Iterable[Workflow] = (),
) -> RefusalContext:
    """Return the template context of a refusal.

    Args:
        wanted_type: the requested type, as the type change page spells it.
        here: the URL of the current page, which is not linked.
        may_change: whether the user may change types and gets links to that page.
        may_cancel: whether the user may cancel executions and gets links to that page.
        known: workflows that have been read already.
    """
    blockers = refusal.blockers
    user = actor.user()
    is_visible = user is None or may_view(user, execution_model())
    blocking = blockers.executions if is_visible else ()
    rows = execution_model()._base_manager.select_related("workflow", "entity")
    executions = _by_cuid(rows.defer("entity__fields"), (row.cuid for row in blocking))
    named = {row.cuid for row in blockers.workflows}
    named.update(cuid for remedy in refusal.remedies for cuid in remedy.workflows)
    workflows = {row.cuid: row for row in known}
    workflows |= _by_cuid(Workflow._base_manager.all(), named - workflows.keys())
    listed = len(blockers.executions) + len(blockers.workflows)
    details = (
        row.detail for row in refusal.problems if row.pointer and row.detail != refusal.message
    )
    return RefusalContext(
        message=str(refusal.message),
        code=refusal.code,
        details=list(dict.fromkeys(details)),
        executions=[_execution_link(row, executions.get(row.cuid), may_cancel) for row in blocking],
        workflows=[
            BlockerLink(row.title, _page_url(workflows.get(row.cuid))) for row in blockers.workflows
        ],
        more=max(blockers.total - listed, 0),
        hidden=len(blockers.executions) - len(blocking),
        remedies=list(_remedy_links(refusal, workflows, wanted_type, here, may_change, may_cancel)),
    )


def _page_url(row: Any) -> str | None:
    return None if row is None else admin_url(row, "change", row.pk)


def _execution_link(blocker: Any, row: Any, may_cancel: bool) -> BlockerLink:
    if row is None:
        text = _("%(workflow)s (%(cuid)s)")
        values = {"workflow": blocker.workflow_title, "cuid": blocker.cuid}
        return BlockerLink(text % values, None, blocker.status, blocker.status)
    return BlockerLink(
        _("%(workflow)s on “%(entity)s”") % {"workflow": row.workflow, "entity": row.entity},
        _page_url(row),
        blocker.status,
        row.get_status_display(),
        admin_url(row, "cancel", row.pk) if may_cancel else None,
    )


def refusal_html(
    refusal: Refusal, *, wanted_type: str | None = None, here: str = "", may_cancel: bool = False
) -> SafeString:
    """Return the refusal as HTML for a page or a message."""
    context = describe(refusal, wanted_type=wanted_type, here=here, may_cancel=may_cancel)
    return render_to_string("workflows/admin/refusal.html", {"refusal": context})


class RefusalList(ErrorList):
    """The errors of a field; refusals are rendered with their blockers and remedies."""

    template_name = "workflows/admin/errors.html"
    template_name_ul = "workflows/admin/errors.html"
    beside_inputs: Sequence[ValidationError] = ()
    """The errors that are not rendered here, because the inputs of the field have them."""

    def get_context(self) -> dict[str, Any]:
        """Add ``rows``: pairs of a refusal context or None, and plain messages."""
        rows = [
            (describe(error), [])
            if isinstance(error, Refusal)
            else (None, ValidationError([error]).messages)
            for error in self.as_data()
            if error not in self.beside_inputs
        ]
        return {**super().get_context(), "rows": rows}
