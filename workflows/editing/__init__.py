"""What can be done to workflows: each a transaction, with the locks of an editor.

The order of the locks: changes on hold, workflows by id, then versions by id, exclusively, and
last the counter of the audit log. Every edit can be asked for without being made: a dry run is
the same code, returning before the first write.
"""

from workflows.editing.change_context import ContextChanged, change_entity_context, resolve_context
from workflows.editing.drain import apply_all_drained, apply_drained, drained, ended, withdraw
from workflows.editing.graph_drafts import (
    Draft,
    DraftMoved,
    edit_draft,
    open_draft,
    put_on_top,
    redo,
    save_draft,
    take_theirs,
    undo,
)
from workflows.editing.graph_save import SavedGraph, graph_problems, save_graph
from workflows.editing.idempotency import forget_answers
from workflows.editing.impacts import Impact, impact
from workflows.editing.retirement import change_state, retire, set_state

__all__ = [
    "ContextChanged",
    "Draft",
    "DraftMoved",
    "Impact",
    "SavedGraph",
    "apply_all_drained",
    "apply_drained",
    "change_entity_context",
    "change_state",
    "drained",
    "edit_draft",
    "ended",
    "forget_answers",
    "graph_problems",
    "impact",
    "open_draft",
    "put_on_top",
    "redo",
    "resolve_context",
    "retire",
    "save_draft",
    "save_graph",
    "set_state",
    "take_theirs",
    "undo",
    "withdraw",
]
