"""The descriptions in the description of the API (OpenAPI): of each operation, of each schema.

They are strings and no docstrings, so that they are there when Python runs with ``-OO``.
"""

from __future__ import annotations

from typing import Any

OPERATIONS: dict[str, str] = {
    "audit_list": "What was changed and what was refused, newest first. Numbered without gaps.",
    "audit_retrieve": "What was changed and what was refused, newest first. Numbered without gaps.",
    "executions_list": "Executions: started, read, submitted to and cancelled.",
    "executions_create": "Start a workflow on an entity.",
    "executions_retrieve": "Executions: started, read, submitted to and cancelled.",
    "executions_approve": "Vote for it; who has voted already changes their mind.",
    "executions_cancel": "Cancel an execution and all that it has started.",
    "executions_draft": "Keep what a form holds so far; it is judged when it is submitted.",
    "executions_reject": "Vote against it.",
    "executions_restart": (
        "Start anew from the beginning; what is live is cancelled. Answers the new one."
    ),
    "executions_retry": (
        "Retry a step that has an incident, or begin a wait, a webhook or a call again."
    ),
    "executions_postpone": (
        "Move the date of a wait or of a scheduled start, or the deadline of a step."
    ),
    "executions_reassign": "Replace the groups and users that an open step asks.",
    "executions_skip": "Close an open step and go on by the exit that is named.",
    "executions_steps_list": "The history of an execution: its visits to nodes, in their order.",
    "executions_submit": (
        "Submit the form of an open step; answers what stands after all that follows."
    ),
    "executions_wake": "Let a step that sleeps go on before its time.",
    "executions_bulk_cancel": "Cancel each of these.",
    "executions_bulk_retry": "Let a step of each of these try again.",
    "executions_bulk_skip": "Close an open step of each of these.",
    "executions_bulk_postpone": "Move the date or the deadline of a step of each of these.",
    "executions_bulk_start": "Start each of these.",
    "executions_mine_list": "The inbox: executions that wait for something that this user may do.",
    "finding_types_list": "What operators call the type of a finding.",
    "finding_types_create": "Create a row.",
    "finding_types_retrieve": "Answer one row.",
    "finding_types_update": "Replace a row.",
    "finding_types_partial_update": "Change some of a row.",
    "finding_types_destroy": "Delete a row.",
    "findings_list": "Findings.",
    "findings_create": "Create a row.",
    "findings_retrieve": "Answer one row.",
    "findings_update": "Replace a row.",
    "findings_partial_update": "Change some of a row.",
    "findings_destroy": "Delete a row.",
    "inventory_models_list": "Inventory models.",
    "inventory_models_create": "Create a row.",
    "inventory_models_retrieve": "Answer one row.",
    "inventory_models_update": "Replace a row.",
    "inventory_models_partial_update": "Change some of a row.",
    "inventory_models_destroy": "Delete a row.",
    "node_types_list": "Every node type, by its name.",
    "node_types_retrieve": "One node type.",
    "pending_changes_list": "Changes that wait until what runs has ended, and what came of them.",
    "pending_changes_retrieve": (
        "Changes that wait until what runs has ended, and what came of them."
    ),
    "pending_changes_destroy": "Withdraw a change, or put away one that could not be made.",
    "record_types_list": "The types of inventory models.",
    "record_types_create": "Create a row.",
    "record_types_retrieve": "Answer one row.",
    "record_types_update": "Replace a row.",
    "record_types_partial_update": "Change some of a row.",
    "record_types_destroy": "Delete a row.",
    "tokens_list": "The tokens of whoever asks.",
    "tokens_create": (
        "Get a token: the one time that it is shown. No token gives another one.\n\nIt "
        "takes no Idempotency-Key, with which the answer would be kept."
    ),
    "tokens_revoke_all": "Revoke all one's own tokens.",
    "tokens_revoke": "Revoke one's own token, the one that the request is sent with too.",
    "webhook_deliveries_retrieve": "What is told to webhooks, one by one.",
    "webhook_deliveries_redeliver": "Have it told again, with the id that it had.",
    "webhooks_list": "Who is told of events by signed POSTs, and of which ones.",
    "webhooks_create": (
        "Make a webhook: the one time that its secret is shown.\n\nIt takes no "
        "Idempotency-Key, with which the answer would be kept."
    ),
    "webhooks_retrieve": "Answer one row.",
    "webhooks_update": "Replace a row.",
    "webhooks_partial_update": "Change some of a row.",
    "webhooks_destroy": "Delete a row.",
    "webhooks_deliveries_list": "What was told to a webhook and what is to be, newest first.",
    "webhooks_rotate_secret": (
        "Replace the secret; both sign for a day. The one time that the new one is "
        "shown.\n\nIt takes no Idempotency-Key, with which the answer would be kept."
    ),
    "webhooks_test": "Have webhook.test told; the delivery says what became of it.",
    "workflows_list": (
        "Workflows: their settings, who depends on them, and changes of their entity context."
    ),
    "workflows_create": "Create a row.",
    "workflows_retrieve": "Answer one row.",
    "workflows_update": "Replace a row.",
    "workflows_partial_update": "Change some of a row.",
    "workflows_destroy": "Delete a row.",
    "workflow_versions_retrieve": "Answer one version with its drawing.",
    "workflow_versions_save_graph": (
        "Save a graph that was drawn from this version: 201 where it has a new number."
    ),
    "workflows_dependencies_retrieve": (
        "Who calls the workflow and whom it calls, directly or through others."
    ),
    "workflow_hook": (
        "Start the workflow on an entity: 201; 200 where this delivery has done so before."
    ),
    "workflows_impact_retrieve": (
        "Say what a change of entity context would meet, and write nothing."
    ),
    "workflow_versions_list": "Answer the versions, latest first, without their drawings.",
    "workflows_change_entity_context": (
        "Give workflows another entity context together: all of them or none; 202 on hold."
    ),
    "step_hook": "Give the step what it waits for; what was delivered before does nothing.",
}
"""By operation id, what the operation does."""

SCHEMAS: dict[str, str] = {
    "Attempt": "One attempt: what came back, or why nothing did.",
    "AuditEntry": (
        "Who did what, when, through which face; before and after; what was refused and why."
    ),
    "Assignees": "The groups and users that a step asks, by the names that they have now.",
    "BulkCancelItem": "What ``cancel`` takes, and the execution.",
    "BulkPostponeItem": "What ``postpone`` takes, and the execution.",
    "BulkSkipItem": "What ``skip`` takes, and the execution.",
    "BulkResult": "What came of all of them, in the order of the items.",
    "BulkRetryItem": "What ``retry`` takes, and the execution.",
    "BulkStartItem": "What a start takes.",
    "Cancel": "Why an execution is cancelled.",
    "ContextChange": (
        "Another entity context for a group of workflows, now or once they are drained."
    ),
    "ContextChanged": "What came of a change of entity context.",
    "Decision": "What an operator decides of a step, and why.",
    "Delivery": (
        "What a signed POST asks to start: its own id, which starts once, and the entity's cuid."
    ),
    "Dependencies": "Who calls a workflow and whom it calls, directly or through others.",
    "Dependency": "A workflow that calls another, or is called by it.",
    "Draining": "The change on hold that a workflow drains for.",
    "DrawnVersion": "A version with its drawing.",
    "Execution": "An execution: where it stands, and on what it runs.",
    "Finding": "A finding.",
    "FindingType": "A finding type.",
    "Form": "What an open user action asks for.",
    "Given": "A version that a change would give a workflow.",
    "GivenVersion": "A version that a change has given a workflow.",
    "Graph": "A drawing to save. What it must look like, the service says.",
    "Impact": "What a change would meet; nothing has been changed.",
    "Incident": "Why a step could not go on, when, and at which attempt.",
    "InventoryModel": "An inventory model.",
    "ListedExecution": "An execution without its steps and pins.",
    "Named": "A workflow by its name.",
    "NamedEntity": "The entity that an execution works on, by name.",
    "NewToken": "A token, this once.",
    "NewWebhook": "A webhook with its secret, this once.",
    "NodeType": "A type of nodes, as those who draw with it need to know it.",
    "Nothing": "Nothing can be asked for.",
    "Notice": "Whom the passing of a deadline was told, or why it could not be.",
    "OpenStep": "A step at which the execution stands.",
    "PendingChange": "A change on hold: what is to change, who asked, when, and what came of it.",
    "PendingMember": "A workflow of a change on hold.",
    "Pin": "The version of a callee that an execution was started with.",
    "RecordType": "A record type.",
    "Result": "What came of an item: an execution, or the problem that its own route would answer.",
    "Rotation": "Nothing else can be asked for.",
    "Postpone": "The time that a step is to wait until, or its new deadline.",
    "Reassign": "The groups and users that an open step asks from now on, and the reason.",
    "Skip": "Which exit a step is left by; needed where the node has more than one.",
    "Start": "What to start, and on what.",
    "Step": "A visit to a node.",
    "Submit": "The answers to an open step's form.",
    "Taken": "Whether a delivery was taken now; it may have come before.",
    "TakenDelivery": "Whether a delivery has started something now, and what it has started.",
    "Telling": "Nothing else can be asked for.",
    "Token": "A token that its owner holds; what it is, nobody can tell any more.",
    "Version": "A version without its drawing.",
    "Vote": "What somebody has said to an approval.",
    "Voting": "A vote, and what is to be said of it.",
    "Webhook": "Who is told of which events.",
    "WebhookDelivery": (
        "What was told, or is to be told, to a webhook; its cuid is the header ``webhook-id``."
    ),
    "WorkedOnEntity": "The entity that an execution works on, with its fields.",
    "Workflow": "A workflow's settings, the number of its latest version and what runs on it.",
}
"""By name of a schema, what its rows are; ``Patched`` is left out of the name."""


def describe_view(view: Any, html: bool = False) -> str:
    """Return the description of a view for an answer to OPTIONS: that of reading it."""
    name = str(getattr(view, "basename", "")).replace("-", "_")
    return OPERATIONS.get(f"{name}s_list") or OPERATIONS.get(f"{name}_list", "")
