"""Drawing step by step: a working copy for each user, undone and redone, saved as a version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from workflows.db.json_values import canonical, find_unstorable
from workflows.editing.graph_save import SavedGraph, save_graph
from workflows.graph.comparison import compare_graphs
from workflows.graph.edit_steps import GraphEditError, Source, require_editable
from workflows.graph.merging import merge_graphs
from workflows.models import DraftState, GraphDraft, Version, Workflow
from workflows.refusals import MessageError

KEPT = 100
"""How many states before the present one can be gone back to."""

Change = Callable[[Source], tuple[Source, str]]
"""Takes the source, gives another one, and says what was done."""


class DraftConflict(MessageError):
    message = _(
        "The drawing has been changed meanwhile, in another window or by a new version. "
        "Nothing was done; this is how it is now."
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """What a user is drawing: the working copy, or the latest version where there is none."""

    source: Source
    base: int
    base_cuid: str
    latest: Version
    row: GraphDraft | None = None
    state: int = 0
    undo: str | None = None
    redo: str | None = None

    @property
    def token(self) -> str:
        """What tells this state from every other; a change is sent with it."""
        return f"{self.base_cuid}-{self.state}"

    @property
    def is_stale(self) -> bool:
        """Whether somebody has saved another version since."""
        return self.base_cuid != self.latest.cuid

    def base_source(self) -> Source:
        """The source of the version that it is based on."""
        if self.row is None:
            source: Source = self.latest.source
            return source
        first: Source = self.row.states.get(number=0).source
        return first


def open_draft(workflow: Workflow, user: Any) -> Draft:
    """What this user is drawing; writes nothing."""
    latest: Version = workflow.latest_version
    row = GraphDraft.objects.filter(workflow=workflow, user=user).first()
    if row is None:
        return Draft(latest.source, latest.number, latest.cuid, latest)
    base, cuid = row.base, row.base_cuid
    if cuid != latest.cuid:
        first = row.states.get(number=0)
        # A change of type gives the workflow a version with the same source.
        if row.at == 0 or canonical(first.source) == canonical(latest.source):
            base, cuid = latest.number, latest.cuid
        if row.at == 0 and canonical(first.source) != canonical(latest.source):
            return Draft(latest.source, base, cuid, latest)
    state = row.states.get(number=row.at)
    later = row.states.filter(number__gt=row.at).first()
    return Draft(
        state.source,
        base,
        cuid,
        latest,
        row,
        state.pk,
        state.told if row.at else None,
        later.told if later is not None else None,
    )


def edit_draft(workflow: Workflow, user: Any, token: str, change: Change) -> None:
    """Take one step. What was undone cannot be redone then.

    Raises:
        CannotEdit: there is no such place any more, or nothing can be there.
        DraftMoved: ``token`` is of another state.
    """
    draft = _open(workflow, user, token)
    source, told = change(draft.source)
    details = [detail for _, detail in find_unstorable(require_editable(source), exact=False)]
    if details:
        raise GraphEditError(details[0])
    if canonical(source) == canonical(draft.source):
        return
    try:
        with transaction.atomic():
            row = draft.row or _begin(workflow, user, draft)
            number = row.at + 1
            _move(row, number, base=draft.base, base_cuid=draft.base_cuid)
            row.states.filter(number__gte=number).delete()
            DraftState.objects.create(draft=row, number=number, source=source, told=told)
            row.states.filter(number__gt=0, number__lt=number - KEPT).delete()
    except IntegrityError as error:
        # Of two windows that begin at once, the first one does.
        raise DraftConflict from error


def undo(workflow: Workflow, user: Any, token: str) -> None:
    """Go back to the state before. Raises ``DraftMoved``, ``CannotEdit`` when there is none."""
    draft = _open(workflow, user, token)
    row = draft.row
    earlier = row.states.filter(number__lt=row.at).last() if row is not None else None
    _go(draft, earlier, "There is nothing to undo.")


def redo(workflow: Workflow, user: Any, token: str) -> None:
    """Go on to what was undone. Raises ``DraftMoved``, ``CannotEdit`` when there is nothing."""
    draft = _open(workflow, user, token)
    row = draft.row
    later = row.states.filter(number__gt=row.at).first() if row is not None else None
    _go(draft, later, "There is nothing to redo.")


def rebase_draft(workflow: Workflow, user: Any, token: str) -> list[str]:
    """Make the changes of the draft again, on top of the latest version.

    The ids of the nodes that both had changed, where the draft's were kept. Undone, it shows the
    latest version as it was saved.
    """
    return _rebase(workflow, user, token, shown=1)


def discard_draft_changes(workflow: Workflow, user: Any, token: str) -> None:
    """Show the latest version; what was drawn can be put on top of it by a redo."""
    _rebase(workflow, user, token, shown=0)


def save_draft(
    workflow: Workflow, user: Any, token: str, notes: str = "", *, allow_unknown: bool = False
) -> SavedGraph:
    """Save what was drawn as ``save_graph`` does, which is what refuses; the draft is gone then.

    Raises:
        DraftMoved: ``token`` is of another state.
        guards.StaleVersion: another version has been saved, under the same number too.
        graph.WorkflowValidationError: the graph is not sound.
    """
    draft = _open(workflow, user, token)

    saved = save_graph(
        workflow,
        draft.source,
        based_on=draft.base,
        read=draft.base_cuid,
        by=user,
        notes=notes,
        allow_unknown=allow_unknown,
    )
    if draft.row is not None:
        GraphDraft.objects.filter(pk=draft.row.pk, at=draft.row.at).delete()
    return saved


def _open(workflow: Workflow, user: Any, token: str) -> Draft:
    draft = open_draft(workflow, user)
    if draft.token != token:
        raise DraftConflict
    return draft


def _begin(workflow: Workflow, user: Any, draft: Draft) -> GraphDraft:
    # One that shows what is no longer the latest version holds nothing that was drawn.
    GraphDraft.objects.filter(workflow=workflow, user=user, at=0).delete()
    row = GraphDraft.objects.create(
        workflow=workflow, user=user, base=draft.base, base_cuid=draft.base_cuid
    )
    DraftState.objects.create(draft=row, number=0, source=draft.source)
    return row


def _move(row: GraphDraft, number: int, **fields: Any) -> None:
    moved = GraphDraft.objects.filter(pk=row.pk, at=row.at).update(
        at=number, updated_at=timezone.now(), **fields
    )
    if not moved:
        raise DraftConflict


def _go(draft: Draft, state: DraftState | None, nothing: str) -> None:
    if state is None or draft.row is None:
        raise GraphEditError(nothing)
    _move(draft.row, state.number)


def _rebase(workflow: Workflow, user: Any, token: str, *, shown: int) -> list[str]:
    draft = _open(workflow, user, token)
    if draft.row is None or not draft.is_stale:
        raise GraphEditError("Nobody has saved another version meanwhile.")
    theirs: Source = draft.latest.source
    merged = merge_graphs(draft.base_source(), draft.source, theirs)
    states = [(theirs, "")]
    if compare_graphs(theirs, merged.source):
        states.append((merged.source, f"Your changes on top of version {draft.latest.number}"))
    at = min(shown, len(states) - 1)
    with transaction.atomic():
        _move(draft.row, at, base=draft.latest.number, base_cuid=draft.latest.cuid)
        draft.row.states.all().delete()
        DraftState.objects.bulk_create(
            DraftState(draft=draft.row, number=number, source=source, told=told)
            for number, (source, told) in enumerate(states)
        )
    return merged.conflicts
