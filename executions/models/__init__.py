"""The models: entities, executions with their steps and closures, secrets and webhooks."""

from executions.models.bulk import BulkItem, BulkKind, BulkOperation, BulkState, ItemState
from executions.models.closure import (
    Closure,
    ClosureMember,
    closure_checksum,
    delete_unused_closures,
    get_closure,
)
from executions.models.comment import COMMENT, MAX_TEXT_LENGTH, Comment
from executions.models.draft import FormDraft
from executions.models.entity import Entity, Finding, InventoryModel, may_view_entity
from executions.models.execution import (
    LIVE,
    OPERATE,
    START,
    SUBMIT,
    VIEW,
    VIEW_STEPS,
    Execution,
    Status,
)
from executions.models.form_file import (
    MAX_FILE_NAME_LENGTH,
    MAX_KEY_LENGTH,
    FormFile,
    UnusedObject,
)
from executions.models.job import PERFORMED, Job, JobKind
from executions.models.move import Move
from executions.models.outgoing_delivery import REDELIVER, DeliveryAttempt, OutgoingDelivery
from executions.models.people_change import PeopleChange
from executions.models.schedule import Schedule, ScheduledStart
from executions.models.secret import (
    Secret,
    SecretNotForHost,
    SecretUnreadable,
    secrets_written,
)
from executions.models.step import (
    FOR_EACH,
    FOR_PEOPLE,
    ITEM,
    ITEMS,
    OPEN,
    OPEN_INDEX,
    SLEEPING,
    USER_ACTION,
    Step,
    StepState,
)
from executions.models.subscription import EVENTS, TEST, SigningSecret, Subscription
from executions.models.triggered_start import Delivery, TriggeredStart
from executions.models.visits import Visits, count_visits, read_children, start_variables
from executions.models.vote import Vote
from executions.models.worker_heartbeat import WorkerHeartbeat, WorkerKind

__all__ = [
    "COMMENT",
    "EVENTS",
    "FOR_EACH",
    "FOR_PEOPLE",
    "ITEM",
    "ITEMS",
    "LIVE",
    "MAX_FILE_NAME_LENGTH",
    "MAX_KEY_LENGTH",
    "MAX_TEXT_LENGTH",
    "OPEN",
    "OPEN_INDEX",
    "OPERATE",
    "PERFORMED",
    "REDELIVER",
    "SLEEPING",
    "START",
    "SUBMIT",
    "TEST",
    "USER_ACTION",
    "VIEW",
    "VIEW_STEPS",
    "BulkItem",
    "BulkKind",
    "BulkOperation",
    "BulkState",
    "Closure",
    "ClosureMember",
    "Comment",
    "Delivery",
    "DeliveryAttempt",
    "Entity",
    "Execution",
    "Finding",
    "FormDraft",
    "FormFile",
    "InventoryModel",
    "ItemState",
    "Job",
    "JobKind",
    "Move",
    "OutgoingDelivery",
    "PeopleChange",
    "Schedule",
    "ScheduledStart",
    "Secret",
    "SecretNotForHost",
    "SecretUnreadable",
    "SigningSecret",
    "Status",
    "Step",
    "StepState",
    "Subscription",
    "TriggeredStart",
    "UnusedObject",
    "Visits",
    "Vote",
    "WorkerHeartbeat",
    "WorkerKind",
    "closure_checksum",
    "count_visits",
    "delete_unused_closures",
    "get_closure",
    "may_view_entity",
    "read_children",
    "secrets_written",
    "start_variables",
]
