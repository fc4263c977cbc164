"""Drafts of graphs: one per user and workflow, edited in steps and saved as a version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.db.json_values import canonical, find_unstorable
from workflows.editing.graph_save import SavedGraph, save_graph
from workflows.graph.edit_steps import GraphEditError, Source, require_editable
from workflows.graph.merging import merge_graphs
from workflows.graph.positions import (
    list_positions,
    merge_positions,
    with_positions,
    without_positions,
)
from workflows.models import DraftState, GraphDraft, Version, Workflow
from workflows.refusals import MessageError

UNDO_LIMIT = 100
"""The number of changes that can be undone."""

Change = Callable[[Source], tuple[Source, str]]
"""Takes the source; returns the new source and a description of the change."""


class DraftConflict(MessageError):
    message = _(
        "The draft has changed since you opened it, in another window or by a new version. "
        "Your change was not applied. This is the current draft."
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """A user's draft, or the latest version if the user has none.

    ``undo`` and ``redo`` describe the changes that can be undone and redone.
    """

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
        """Return the identifier of this state; every change is sent with it."""
        return f"{self.base_cuid}-{self.state}"

    @property
    def is_stale(self) -> bool:
        """Return True if another version has been saved since the draft was started."""
        return self.base_cuid != self.latest.cuid

    def base_source(self) -> Source:
        """Return the source of the version that the draft is based on."""
        if self.row is None:
            source: Source = self.latest.source_with_positions
            return source
        first: Source = self.row.states.get(number=0).source
        return first


def open_draft(workflow: Workflow, user: Any) -> Draft:
    """Read the user's draft. Writes nothing."""
    latest: Version = workflow.latest_version
    row = GraphDraft.objects.filter(workflow=workflow, user=user).first()
    if row is None:
        return Draft(latest.source_with_positions, latest.number, latest.cuid, latest)
    base, cuid = row.base, row.base_cuid
    if cuid != latest.cuid:
        first = row.states.get(number=0)
        # After a change of type, the latest version has the same source.
        is_same = _without_positions(first.source) == _without_positions(latest.source)
        if row.at == 0 and not is_same:
            return Draft(latest.source_with_positions, latest.number, latest.cuid, latest)
        if is_same:
            base, cuid = latest.number, latest.cuid
    state = row.states.get(number=row.at)
    later = row.states.filter(number__gt=row.at).first()
    return Draft(
        state.source,
        base,
        cuid,
        latest,
        row,
        state.pk,
        state.description if row.at else None,
        later.description if later is not None else None,
    )


def edit_draft(workflow: Workflow, user: Any, token: str, change: Change) -> None:
    """Apply one change to the draft. Undone changes can no longer be redone.

    Args:
        workflow: the workflow.
        user: the owner of the draft.
        token: the token of the state that was edited.
        change: the change.

    Raises:
        GraphEditError: the change is no longer possible, or is invalid.
        DraftConflict: the draft has another state than ``token``.
    """
    draft = _open(workflow, user, token)
    source, description = change(draft.source)
    details = [detail for _, detail in find_unstorable(require_editable(source), exact=False)]
    if details:
        raise GraphEditError(details[0])
    if canonical(source) == canonical(draft.source):
        return
    try:
        with transaction.atomic():
            row = draft.row or _create(workflow, user, draft)
            number = row.at + 1
            _move(row, number, base=draft.base, base_cuid=draft.base_cuid)
            row.states.filter(number__gte=number).delete()
            DraftState.objects.create(
                draft=row, number=number, source=source, description=description
            )
            row.states.filter(number__gt=0, number__lt=number - UNDO_LIMIT).delete()
    except IntegrityError as error:
        # Two windows started a draft at the same time.
        raise DraftConflict from error


def undo(workflow: Workflow, user: Any, token: str) -> None:
    """Undo the last change. Raise ``DraftConflict``, or ``GraphEditError`` if there is none."""
    draft = _open(workflow, user, token)
    row = draft.row
    earlier = row.states.filter(number__lt=row.at).last() if row is not None else None
    _go_to(draft, earlier, gettext("There is nothing to undo."))


def redo(workflow: Workflow, user: Any, token: str) -> None:
    """Redo an undone change. Raise ``DraftConflict``, or ``GraphEditError`` if there is none."""
    draft = _open(workflow, user, token)
    row = draft.row
    later = row.states.filter(number__gt=row.at).first() if row is not None else None
    _go_to(draft, later, gettext("There is nothing to redo."))


def rebase_draft(workflow: Workflow, user: Any, token: str) -> list[str]:
    """Apply the changes of the draft to the latest version.

    Undo then shows the latest version as it was saved.

    Returns:
        The ids of the nodes that both have changed; the draft's changes win.
    """
    return _rebase(workflow, user, token, keep_changes=True)


def discard_draft_changes(workflow: Workflow, user: Any, token: str) -> None:
    """Reset the draft to the latest version. Redo applies the discarded changes to it."""
    _rebase(workflow, user, token, keep_changes=False)


def save_draft(
    workflow: Workflow, user: Any, token: str, notes: str = "", *, allow_unknown: bool = False
) -> SavedGraph:
    """Save the draft with ``save_graph`` and delete it.

    Raises:
        DraftConflict: the draft has another state than ``token``.
        guards.StaleVersion: the version that the draft is based on is not the latest.
        graph.WorkflowValidationError: the graph is invalid.
    """
    draft = _open(workflow, user, token)
    saved = save_graph(
        workflow,
        _with_their_moves(draft, draft.source),
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


def _with_their_moves(draft: Draft, source: Source) -> Source:
    """Return the source with the positions of the latest version, except for the draft's moves."""
    base, theirs = draft.base_source(), draft.latest.positions or {}
    merged = merge_positions(list_positions(base), list_positions(draft.source), theirs)
    placed: Source = with_positions(source, merged)
    return placed


def _without_positions(source: Any) -> str:
    return canonical(without_positions(source))


def _create(workflow: Workflow, user: Any, draft: Draft) -> GraphDraft:
    # A draft in state 0 that is based on an older version has no changes.
    GraphDraft.objects.filter(workflow=workflow, user=user, at=0).delete()
    row = GraphDraft.objects.create(
        workflow=workflow, user=user, base=draft.base, base_cuid=draft.base_cuid
    )
    DraftState.objects.create(draft=row, number=0, source=draft.source)
    return row


def _move(row: GraphDraft, number: int, **fields: Any) -> None:
    updated = GraphDraft.objects.filter(pk=row.pk, at=row.at).update(
        at=number, updated_at=timezone.now(), **fields
    )
    if not updated:
        raise DraftConflict


def _go_to(draft: Draft, state: DraftState | None, message: str) -> None:
    if state is None or draft.row is None:
        raise GraphEditError(message)
    _move(draft.row, state.number)


def _rebase(workflow: Workflow, user: Any, token: str, *, keep_changes: bool) -> list[str]:
    draft = _open(workflow, user, token)
    if draft.row is None or not draft.is_stale:
        raise GraphEditError(gettext("The draft is already based on the latest version."))
    theirs: Source = draft.latest.source_with_positions
    merged = merge_graphs(draft.base_source(), draft.source, theirs)
    mine = _with_their_moves(draft, merged.source)
    states = [(theirs, "")]
    if canonical(theirs) != canonical(mine):
        states.append(
            (
                mine,
                gettext("Your changes on top of version {number}").format(
                    number=draft.latest.number
                ),
            )
        )
    at = len(states) - 1 if keep_changes else 0
    with transaction.atomic():
        _move(draft.row, at, base=draft.latest.number, base_cuid=draft.latest.cuid)
        draft.row.states.all().delete()
        DraftState.objects.bulk_create(
            DraftState(draft=draft.row, number=number, source=source, description=description)
            for number, (source, description) in enumerate(states)
        )
    return merged.conflicts
