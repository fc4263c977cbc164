"""Models of definitions: types, workflows, versions and the references between them."""

from workflows.audit.log import AuditCounter, AuditEntry
from workflows.models.stored_answer import StoredAnswer
from workflows.models.types import CONTEXT_FIELDS, Context, EntityName, FindingType, RecordType

from workflows.models.workflow import CHANGE_CONTEXT, Workflow  # isort: skip
from workflows.models.candidate import Candidate
from workflows.models.draft import DraftState, GraphDraft
from workflows.models.pending_change import PendingChange, PendingWorkflow
from workflows.models.saved_filter import SHARE_FILTERS, SavedFilter
from workflows.models.unsealed import Unsealed, unsealed, unsealed_rows
from workflows.models.version import Reference, Version

__all__ = [
    "CHANGE_CONTEXT",
    "CONTEXT_FIELDS",
    "SHARE_FILTERS",
    "AuditCounter",
    "AuditEntry",
    "Candidate",
    "Context",
    "DraftState",
    "EntityName",
    "FindingType",
    "GraphDraft",
    "PendingChange",
    "PendingWorkflow",
    "RecordType",
    "Reference",
    "SavedFilter",
    "StoredAnswer",
    "Unsealed",
    "Version",
    "Workflow",
    "unsealed",
    "unsealed_rows",
]
