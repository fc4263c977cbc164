"""What can be done to executions: each a transaction, with the locks of a runner.

The order of the locks: the root's row, the child's, the entity's, then shares on workflows
by id, then versions. A runner takes no exclusive lock on a workflow.
"""

from executions.services.advancing import read
from executions.services.bulk import forget_bulk_operations
from executions.services.counting import count_votes_again
from executions.services.deliveries import deliver, purge_deliveries
from executions.services.ending import cancel
from executions.services.hook_starts import forget_deliveries, start_by_delivery
from executions.services.interventions import postpone, retry, skip, wake
from executions.services.jobs import come_back, give_up, hold, keep_result, put_off
from executions.services.legacy import Malformed, import_legacy
from executions.services.reassigning import reassign
from executions.services.repairs import Report, repair
from executions.services.secret_edits import (
    forget_previous_values,
    refuse_secret_deletion,
    refuse_secret_renaming,
    revoke_previous_value,
)
from executions.services.starting import restart, start
from executions.services.steps import save_draft, submit, vote
from executions.services.subscriptions import (
    OVERLAP,
    give_secret,
    redeliver,
    refuse_url,
    rotate_secret,
    tell_test,
)
from executions.services.triggering import due_starts, serve_due_starts, serve_start, set_off

__all__ = [
    "OVERLAP",
    "Malformed",
    "Report",
    "cancel",
    "come_back",
    "count_votes_again",
    "deliver",
    "due_starts",
    "forget_bulk_operations",
    "forget_deliveries",
    "forget_previous_values",
    "give_secret",
    "give_up",
    "hold",
    "import_legacy",
    "keep_result",
    "postpone",
    "purge_deliveries",
    "put_off",
    "read",
    "reassign",
    "redeliver",
    "refuse_secret_deletion",
    "refuse_secret_renaming",
    "refuse_url",
    "repair",
    "restart",
    "retry",
    "revoke_previous_value",
    "rotate_secret",
    "save_draft",
    "serve_due_starts",
    "serve_start",
    "set_off",
    "skip",
    "start",
    "start_by_delivery",
    "submit",
    "tell_test",
    "vote",
    "wake",
]
