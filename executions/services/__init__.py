"""What can be done to executions: each a transaction, with the locks of a runner.

The order of the locks: the root's row, the child's, the entity's, then shares on workflows
by id, then versions. A runner takes no exclusive lock on a workflow.
"""

from executions.services.advancing import read
from executions.services.bulk import forget_bulk_operations
from executions.services.cancelling import cancel
from executions.services.interventions import postpone, retry, skip, wake
from executions.services.jobs import come_back, give_up, hold, keep_result, put_off
from executions.services.reassigning import reassign
from executions.services.secret_revocation import (
    forget_previous_values,
    refuse_secret_deletion,
    refuse_secret_renaming,
    revoke_previous_value,
)
from executions.services.starting import restart, start
from executions.services.steps import save_draft, submit, vote
from executions.services.triggering import due_starts, serve_due_starts, serve_start, set_off
from executions.services.vote_counting import count_votes_again

__all__ = [
    "cancel",
    "come_back",
    "count_votes_again",
    "due_starts",
    "forget_bulk_operations",
    "forget_previous_values",
    "give_up",
    "hold",
    "keep_result",
    "postpone",
    "put_off",
    "read",
    "reassign",
    "refuse_secret_deletion",
    "refuse_secret_renaming",
    "restart",
    "retry",
    "revoke_previous_value",
    "save_draft",
    "serve_due_starts",
    "serve_start",
    "set_off",
    "skip",
    "start",
    "submit",
    "vote",
    "wake",
]
