"""Services on executions. Each is one transaction and takes the locks of a runner.

The order of the locks is: the row of the root, the row of the child, the row of the entity, then
KEY SHARE on workflows by id, then on versions by id. A runner takes no exclusive lock on a
workflow.
"""

from executions.services.advancing import AdvanceResult, read_for_submit, recall_result
from executions.services.bulk import purge_bulk_operations
from executions.services.cancelling import cancel
from executions.services.claiming import claim, unclaim
from executions.services.commenting import comment, withdraw_comment
from executions.services.downloads import download
from executions.services.moving import MoveResult, move, plan_move
from executions.services.postponing import postpone
from executions.services.reassigning import reassign
from executions.services.restarting import restart
from executions.services.retrying import retry
from executions.services.schedule_preview import preview_schedule
from executions.services.scheduling import (
    align_schedule,
    count_scheduled_starts,
    purge_scheduled_starts,
    serve_schedules,
)
from executions.services.secret_revocation import (
    purge_previous_values,
    refuse_secret_deletion,
    refuse_secret_renaming,
    revoke_previous_value,
)
from executions.services.skipping import skip
from executions.services.starting import start
from executions.services.stored_objects import purge_files, stored
from executions.services.submitting import save_draft, submit
from executions.services.trial import list_open_steps, run_trial
from executions.services.triggering import (
    due_starts,
    queue_triggered_starts,
    serve_due_starts,
    serve_start,
)
from executions.services.uploading import Upload, add_file, check_upload, upload
from executions.services.voting import recount_votes, vote
from executions.services.waking import wake

__all__ = [
    "AdvanceResult",
    "MoveResult",
    "Upload",
    "add_file",
    "align_schedule",
    "cancel",
    "check_upload",
    "claim",
    "comment",
    "count_scheduled_starts",
    "download",
    "due_starts",
    "list_open_steps",
    "move",
    "plan_move",
    "postpone",
    "preview_schedule",
    "purge_bulk_operations",
    "purge_files",
    "purge_previous_values",
    "purge_scheduled_starts",
    "queue_triggered_starts",
    "read_for_submit",
    "reassign",
    "recall_result",
    "recount_votes",
    "refuse_secret_deletion",
    "refuse_secret_renaming",
    "restart",
    "retry",
    "revoke_previous_value",
    "run_trial",
    "save_draft",
    "serve_due_starts",
    "serve_schedules",
    "serve_start",
    "skip",
    "start",
    "stored",
    "submit",
    "unclaim",
    "upload",
    "vote",
    "wake",
    "withdraw_comment",
]
