"""The edits of workflows. Each one is a transaction with the locks of an editor.

Editors lock in this order: pending changes, workflows by id, versions by id (exclusively), and
last the counter of the audit log. A dry run of ``change_entity_context`` or ``save_graph`` runs
the same code and returns before the first write.
"""

from workflows.editing.change_context import (
    ContextChangeResult,
    change_entity_context,
    resolve_context,
)
from workflows.editing.drain import (
    apply_all_drained,
    apply_drained,
    find_drained_changes,
    try_waiting_changes,
    withdraw,
)
from workflows.editing.graph_drafts import (
    Draft,
    DraftConflict,
    discard_draft_changes,
    edit_draft,
    open_draft,
    rebase_draft,
    redo,
    save_draft,
    undo,
)
from workflows.editing.graph_save import SavedGraph, graph_problems, save_graph
from workflows.editing.graph_warnings import graph_warnings
from workflows.editing.idempotency import purge_answers
from workflows.editing.impacts import Impact, impact
from workflows.editing.workflow_state import change_state, retire, set_state

__all__ = [
    "ContextChangeResult",
    "Draft",
    "DraftConflict",
    "Impact",
    "SavedGraph",
    "apply_all_drained",
    "apply_drained",
    "change_entity_context",
    "change_state",
    "discard_draft_changes",
    "edit_draft",
    "find_drained_changes",
    "graph_problems",
    "graph_warnings",
    "impact",
    "open_draft",
    "purge_answers",
    "rebase_draft",
    "redo",
    "resolve_context",
    "retire",
    "save_draft",
    "save_graph",
    "set_state",
    "try_waiting_changes",
    "undo",
    "withdraw",
]
