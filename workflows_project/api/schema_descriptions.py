"""Descriptions of operations and schemas in the OpenAPI document.

They are strings, not docstrings, so that they exist under ``python -OO``.
"""

from __future__ import annotations

from typing import Any

OPERATIONS: dict[str, str] = {
    "audit_list": "List audit entries, newest first. The numbers have no gaps.",
    "audit_retrieve": "Return an audit entry.",
    "executions_list": "List executions.",
    "executions_create": "Start a workflow on an entity.",
    "executions_retrieve": "Return an execution with its current steps.",
    "executions_approve": ("Vote for approval. A second vote of the same user replaces the first."),
    "executions_cancel": "Cancel an execution and its live child executions.",
    "executions_claim": (
        "Claim an open form or approval. Nobody else may do it until it is unclaimed or reassigned."
    ),
    "executions_comments_list": "List the comments on an execution, the oldest first.",
    "executions_comment": (
        "Comment on an execution, or on one of its steps. A comment is never edited."
    ),
    "executions_comments_retrieve": "Return a comment.",
    "executions_comments_withdraw": (
        "Hide the text of a comment. Operators do it for others, with a reason."
    ),
    "executions_files_list": (
        "List the files of the forms of an execution, the oldest first: those that were submitted, "
        "and those that the user has uploaded but not submitted."
    ),
    "executions_upload": (
        "Upload a file for a field of an open form. A submit attaches it by its cuid. A file that "
        "is not submitted within a week, and is in no draft, is deleted."
    ),
    "executions_files_retrieve": "Return a file without its content.",
    "executions_files_content_retrieve": "Return the content of a file as an attachment.",
    "executions_draft": (
        "Save the answers to a form as a draft. They are validated on submission."
    ),
    "executions_reject": ("Vote for rejection. A second vote of the same user replaces the first."),
    "executions_restart": (
        "Cancel an execution if it is live, and start it again. Returns the new execution."
    ),
    "executions_retry": "Retry a step with an incident, or restart a wait, a webhook or a call.",
    "executions_postpone": (
        "Move the date of a wait or of a scheduled start, or the deadline of a step."
    ),
    "executions_move": (
        "Move a root and its live child executions to another version. A dry run returns the plan."
    ),
    "executions_moves_list": "List the moves of an execution, the first one first.",
    "executions_reassign": "Replace the assignees of an open step.",
    "executions_skip": "Close an open step, and continue by the given exit.",
    "executions_steps_list": "List the steps of an execution, in the order of the visits.",
    "executions_submit": (
        "Submit the form of an open step. Returns the execution after all steps that follow."
    ),
    "executions_unclaim": (
        "Give a claimed step back to its assignees. Operators do it for others, with a reason."
    ),
    "executions_wake": "Skip the rest of a wait.",
    "executions_bulk_cancel": "Cancel several executions.",
    "executions_bulk_retry": "Retry a step of each of several executions.",
    "executions_bulk_skip": "Close an open step of each of several executions.",
    "executions_bulk_move": "Move each of several executions to another version.",
    "executions_bulk_postpone": "Move a date or a deadline of each of several executions.",
    "executions_bulk_start": "Start several executions.",
    "executions_mine_list": "List the executions with a step that the user can do.",
    "finding_types_list": "List finding types.",
    "finding_types_create": "Create a finding type.",
    "finding_types_retrieve": "Return a finding type.",
    "finding_types_update": "Replace a finding type.",
    "finding_types_partial_update": "Change a finding type.",
    "finding_types_destroy": "Delete a finding type.",
    "findings_list": "List findings.",
    "findings_create": "Create a finding.",
    "findings_bulk": (
        "Create or change up to 500 findings. An item with the type and the external id of a "
        "finding changes it as PATCH does; any other item creates one."
    ),
    "findings_retrieve": "Return a finding.",
    "findings_update": "Replace a finding.",
    "findings_partial_update": "Change a finding.",
    "findings_destroy": "Delete a finding.",
    "inventory_models_list": "List inventory models.",
    "inventory_models_create": "Create an inventory model.",
    "inventory_models_retrieve": "Return an inventory model.",
    "inventory_models_update": "Replace an inventory model.",
    "inventory_models_partial_update": "Change an inventory model.",
    "inventory_models_destroy": "Delete an inventory model.",
    "node_types_list": "List the node types by name.",
    "node_types_retrieve": "Return a node type.",
    "pending_changes_list": (
        "List changes of entity context that wait for executions to end, and their results."
    ),
    "pending_changes_retrieve": "Return a pending change.",
    "pending_changes_destroy": "Withdraw a pending change, or delete a refused one.",
    "record_types_list": "List record types.",
    "record_types_create": "Create a record type.",
    "record_types_retrieve": "Return a record type.",
    "record_types_update": "Replace a record type.",
    "record_types_partial_update": "Change a record type.",
    "record_types_destroy": "Delete a record type.",
    "tasks_list": (
        "List open steps: tasks of people, waits, calls and incidents. The most urgent come first."
    ),
    "status_read": "Return the version, the database and the background workers.",
    "me_read": "Return the user of the request, with roles and permissions.",
    "tokens_list": "List the user's tokens.",
    "tokens_create": (
        "Create a token. It is only returned once. A token cannot create another token.\n\n"
        "Idempotency-Key is not accepted, because the response would be stored."
    ),
    "tokens_revoke_all": "Revoke all tokens of the user.",
    "tokens_revoke": "Revoke a token of the user, or of others for those who may revoke tokens.",
    "webhook_deliveries_retrieve": "Return a webhook delivery.",
    "webhook_deliveries_redeliver": "Send a delivery again, with the same id.",
    "webhooks_list": "List webhooks, which send events as signed POST requests.",
    "webhooks_create": (
        "Create a webhook. Its secret is only returned once.\n\n"
        "Idempotency-Key is not accepted, because the response would be stored."
    ),
    "webhooks_retrieve": "Return a webhook.",
    "webhooks_update": "Replace a webhook.",
    "webhooks_partial_update": "Change a webhook.",
    "webhooks_destroy": "Delete a webhook.",
    "webhooks_deliveries_list": "List the deliveries of a webhook, newest first.",
    "webhooks_rotate_secret": (
        "Replace the secret. Both secrets sign for one day. The new secret is only returned "
        "once.\n\n"
        "Idempotency-Key is not accepted, because the response would be stored."
    ),
    "webhooks_test": "Send the event webhook.test. The delivery shows the result.",
    "workflows_list": "List workflows.",
    "workflows_create": "Create a workflow.",
    "workflows_retrieve": "Return a workflow.",
    "workflows_update": "Replace a workflow.",
    "workflows_partial_update": "Change a workflow.",
    "workflows_destroy": "Delete a workflow.",
    "workflow_versions_retrieve": "Return a version with its graph.",
    "workflow_versions_save_graph": (
        "Save a graph based on this version. Returns 201 if it becomes a new version. If only "
        "positions of nodes have changed and there are no notes, the version gets them and stays "
        "the same otherwise."
    ),
    "workflows_occurrences_retrieve": (
        "Return the next ten occurrences of the schedule of a workflow, active or not."
    ),
    "workflows_dependencies_retrieve": (
        "Return the callers and callees of a workflow, direct and indirect."
    ),
    "workflow_hook": (
        "Start the workflow on an entity. Returns 201, or 200 if the same delivery was received "
        "before."
    ),
    "workflows_impact_retrieve": (
        "Return the impact of a change of entity context, without making it."
    ),
    "workflow_versions_list": "List the versions without their graphs, latest first.",
    "workflows_change_entity_context": (
        "Change the entity context of workflows together, all or none. Returns 202 if the change "
        "is put on hold."
    ),
    "step_hook": (
        "Continue a step that waits for this webhook. A repeated delivery has no effect."
    ),
}
"""Descriptions of operations, by operation id."""

SCHEMAS: dict[str, str] = {
    "DeliveryAttempt": "An attempt to send a delivery, with the response or the error.",
    "AuditEntry": "An edit or a refused edit: who, when, by which interface, before and after.",
    "Assignees": "The assignees of a step, by their current names.",
    "BulkCancelRequest": "The executions to cancel.",
    "BulkMoveRequest": "The executions to move.",
    "BulkPostponeRequest": "The steps to postpone.",
    "BulkRetryRequest": "The steps to retry.",
    "BulkSkipRequest": "The steps to skip.",
    "BulkFindingsRequest": "The findings to create or change.",
    "BulkFindingsResult": "The results of a bulk request, in the order of the items.",
    "BulkStartRequest": "The executions to start.",
    "BulkCancelItemRequest": "An execution to cancel.",
    "BulkMoveItemRequest": "An execution to move.",
    "BulkPostponeItemRequest": "A step to postpone.",
    "BulkSkipItemRequest": "A step to skip.",
    "BulkResult": "The results of a bulk request, in the order of the items.",
    "BulkRetryItemRequest": "A step to retry.",
    "BulkStartItemRequest": "An execution to start.",
    "CancelRequest": "The reason of a cancellation.",
    "Comment": "A comment on an execution. Its text is null if it was withdrawn.",
    "File": "A file of the form of a step. Before its submit, only its uploader can read it.",
    "UploadRequest": "A file, and the field of an open form that it is for.",
    "NewCommentRequest": "The text of a comment, and the step that it is about.",
    "WithdrawalRequest": "The reason for withdrawing a comment.",
    "ContextChangeRequest": (
        "A change of the entity context of workflows, now or when the live executions have ended."
    ),
    "ContextChangeResult": "The result of a change of entity context.",
    "StepDecisionRequest": "A step, and the reason for the operation.",
    "WorkflowHookRequest": (
        "The body of a webhook that starts a workflow: an id that starts only once, and the cuid "
        "of the entity."
    ),
    "Occurrence": "A time at which a schedule starts executions.",
    "NextOccurrences": "The next occurrences of the schedule of a workflow.",
    "Dependencies": "The callers and callees of a workflow, direct and indirect.",
    "Dependency": "A caller or callee.",
    "DrainingChange": "The pending change for which a workflow drains.",
    "VersionWithGraph": "A version with its graph.",
    "SavedVersion": "A version that was saved, with the warnings about its graph.",
    "GraphWarning": "A warning about a graph that was saved.",
    "DryRunRequest": "A body that has only ``dry_run``.",
    "Execution": "An execution with its current steps and pinned versions.",
    "Finding": "A finding.",
    "FindingResult": "The result of an item: a finding, or the problem.",
    "FindingType": "A finding type.",
    "DraftRequest": "The answers to the form of an open step so far.",
    "Form": "The form of an open user action.",
    "FormAction": "A button of a form, with an exit of its own.",
    "PlannedVersion": "A version that a change would create.",
    "NewVersion": "A version that a change has created.",
    "SaveGraphRequest": "A graph to save.",
    "Impact": "The impact of a change. Nothing has been changed.",
    "Incident": "The cause of an incident, with the time and the attempt.",
    "ItemCount": "The numbers of all, of started and of completed items of a call with for_each.",
    "InventoryModel": "An inventory model.",
    "Included": "The records that `include` asks for.",
    "ExecutionSummary": "An execution without its steps and pinned versions.",
    "WorkflowLink": "A workflow with its title.",
    "EntitySummary": "The entity of an execution, with its title.",
    "CreateTokenRequest": "The settings of a new token.",
    "DatabaseVendor": "The kind of database.",
    "DatabaseStatus": "The database of the installation.",
    "Me": "The user of a request.",
    "Status": "The status of the installation.",
    "WorkerStatus": "The background workers of the installation.",
    "Move": "A move of an execution: versions, time, account and reason.",
    "MoveOptionsRequest": "The version to move to, the mapping of open steps, and the reason.",
    "MovePlan": "The plan of a move with its obstacles, or its result.",
    "MoveObstacle": "A reason why an execution cannot be moved, and what you can do.",
    "MovedExecution": "The versions of an execution before and after a move.",
    "NewToken": "A new token. It is only returned once.",
    "NewWebhook": "A new webhook with its secret, which is only returned once.",
    "NodeType": "A node type, with the JSON Schema of its data.",
    "EmptyRequest": "An empty body.",
    "Notice": "The mail about a passed deadline: recipients, or the reason why it was not sent.",
    "OpenStep": "An open step of an execution.",
    "PendingChange": (
        "A pending change: the new context, who requested it and when, and the result."
    ),
    "PendingChangeMember": "A workflow of a pending change.",
    "PlannedStep": "An open step with its present and its new node.",
    "PinnedVersion": "The pinned version of a callee.",
    "RecordType": "A record type.",
    "BulkItemResult": "The result of an item: an execution, or the problem.",
    "PostponeRequest": "The new time of a wait, or the new deadline of a step.",
    "ReassignRequest": "The new assignees of an open step, and the reason.",
    "NamedStepRequest": "An open step, named by its node or its cuid.",
    "SkipRequest": "The exit of a skipped step. Required if the node has several exits.",
    "StartRequest": "The workflow to start, and the entity.",
    "Step": "A visit of a node.",
    "SubmitRequest": "The answers to the form of an open step, and the action that was chosen.",
    "StepHookReceipt": "The receipt of a delivery to a waiting step.",
    "WorkflowHookReceipt": "The receipt of a delivery, with the execution that it has started.",
    "Task": "An open step, with its execution.",
    "Token": "A token, without its value.",
    "Version": "A version without its graph.",
    "Vote": "A vote on an approval.",
    "VotingRequest": "A vote and a note.",
    "Webhook": "A webhook that sends events.",
    "WebhookDelivery": (
        "A delivery of an event to a webhook. The header ``webhook-id`` has its cuid."
    ),
    "ExecutionEntity": "The entity of an execution, with its fields.",
    "Workflow": (
        "A workflow with its settings, the number of its latest version and its live executions."
    ),
}
"""Descriptions of components, by their names."""


def describe_view(view: Any, html: bool = False) -> str:
    """Return the description of a view for OPTIONS: that of its list."""
    name = str(getattr(view, "basename", "")).replace("-", "_")
    return OPERATIONS.get(f"{name}s_list") or OPERATIONS.get(f"{name}_list", "")


def describe_component(name: str) -> str:
    """Return the description of a component; that of a page or a change is made from its record."""
    if name in SCHEMAS:
        return SCHEMAS[name]
    if name.endswith("Page"):
        return f"A page of a list. {SCHEMAS.get(name.removesuffix('Page'), '')}".strip()
    if name.endswith("PatchRequest"):
        whole = SCHEMAS.get(name.removesuffix("PatchRequest"), "")
        return f"The fields to change; the others keep their values. {whole}".strip()
    return SCHEMAS.get(name.removesuffix("Request"), "")
