"""The refusals of the rules: a class per refusal, with its messages and its code."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from workflows.guards import (
    ActiveExecutions,
    ContextShape,
    DependentActiveExecutions,
    HasExecutions,
    TypeInUse,
)
from workflows.guards.database_errors import DELETION_KEYS, KEYS
from workflows.refusals import Refusal


class EntityInUse(Refusal):
    message = _("Live executions work on this entity.")
    code = "entity_in_use"
    edit_message = ngettext_lazy(
        "Cannot change the type of “{entity}”: {count} live execution works on it.",
        "Cannot change the type of “{entity}”: {count} live executions work on it.",
        "count",
    )
    bulk_edit_message = ngettext_lazy(
        "Cannot change the type of these entities: {count} live execution works on them. Finish "
        "or cancel it first.",
        "Cannot change the type of these entities: {count} live executions work on them. Finish "
        "or cancel them first.",
        "count",
    )
    live_deletion_message = ngettext_lazy(
        "Cannot delete “{entity}”: {count} live execution works on it.",
        "Cannot delete “{entity}”: {count} live executions work on it.",
        "count",
    )
    deletion_message = ngettext_lazy(
        "Cannot delete “{entity}”: it has {count} execution.",
        "Cannot delete “{entity}”: it has {count} executions.",
        "count",
    )
    remedy = ngettext_lazy(
        "Finish or cancel {count} live execution first.",
        "Finish or cancel {count} live executions first.",
        "count",
    )


class InvalidFields(Refusal):
    message = _("The fields of an entity must be an object: names and their values.")
    code = "invalid_fields"


class NotStartable(Refusal):
    message = _("The workflow cannot be started.")
    code = "not_startable"
    draft_message = _("Workflow “{title}” is a draft")
    retired_message = _("Workflow “{title}” is retired")
    inactive_message = _(
        "{workflows}: only active workflows can be started or called by a started workflow."
    )
    activate_remedy = _("Activate these workflows.")
    context_message = _(
        "The workflow and the workflows that it calls have different finding types: {versions}. "
        "Save their graphs again, or change their finding types together."
    )


class EntityTypeMismatch(Refusal):
    message = _("The type of the entity is not the type of the workflow.")
    code = "entity_type_mismatch"
    exact_message = _(
        "“{entity}” has the type “{entity_type}”, but workflow “{workflow}” works on "
        "“{workflow_type}”."
    )
    problem = _("The entity has type '{entity_type}', the workflow '{workflow_type}'.")


class NotOpen(Refusal):
    message = _("The step is not open.")
    code = "not_open"


class NotAssigned(Refusal):
    message = _("This step is assigned to others.")
    code = "not_assigned"


class ExcludedVoter(Refusal):
    message = _(
        "You have started this execution or submitted a form in it. Others have to vote here."
    )
    code = "excluded_voter"


class Claimed(Refusal):
    message = _("Another user has claimed this step.")
    code = "claimed"
    exact_message = _("“{step}” is claimed by {user}.")
    remedy = _("Ask {user} or an operator to unclaim the step.")


class NotClaimed(Refusal):
    message = _("Nobody has claimed this step.")
    code = "not_claimed"


class ExecutionEnded(Refusal):
    message = _("The execution has ended and cannot be changed.")
    code = "execution_ended"
    final_message = _("Execution {execution} is {status}, which is final. Start a new one.")


class ExecutionFrozen(Refusal):
    message = _("The data that an execution started with cannot be changed.")
    code = "execution_frozen"
    fields_message = _("{names} of the {model} cannot be changed after the start.")
    bulk_message = _(
        "{names} of the {model} cannot be changed in bulk: start, submit and cancel executions "
        "with executions.services."
    )
    open_step_message = _(
        "Step “{node}” of execution {execution} is open. To close it, submit it or cancel the "
        "execution."
    )
    comment_message = _("A comment can be deleted only together with its execution. Withdraw it.")
    file_message = _("A file can be deleted only together with its execution.")
    step_message = _("A step can be deleted only together with its execution.")
    pin_message = _("A pin can be deleted only together with its closure.")
    closure_message = _("A closure cannot be deleted while an execution uses it.")
    member_message = _(
        "A closure is created with all of its pins and gets no more. Start executions with "
        "executions.services."
    )


class ExecutionLive(Refusal):
    message = _("A live execution cannot be deleted. Cancel it first.")
    code = "execution_live"
    tree_message = _(
        "Execution {execution} belongs to {root}, which is {status}. Cancel {root} before you "
        "delete it."
    )


class NotARoot(Refusal):
    message = _("Another execution started this one.")
    code = "not_a_root"


class NoIncident(Refusal):
    message = _("The step has no incident.")
    code = "no_incident"


class NoSuchHandle(Refusal):
    message = _("The node has no such exit.")
    code = "no_such_handle"


class TooManySelected(Refusal):
    message = _("Too many executions are selected. Select fewer.")
    code = "too_many_selected"


class SeveralWorkflows(Refusal):
    message = _("Select executions of one workflow: they are moved to one of its versions.")
    code = "several_workflows"


class InvalidDraft(Refusal):
    message = _("A draft must be an object: field names and their values so far.")
    code = "invalid_draft"


class InvalidSubscription(Refusal):
    message = _("Name at least one event for the webhook.")
    code = "invalid_webhook"
    no_event_message = _("Name at least one event. Allowed: {names}.")
    unknown_event_message = _("Unknown event {event}. Allowed: {names}.")


class UrlRefused(Refusal):
    message = _("Requests to this address are not allowed.")
    code = "webhook_url_refused"


class SubscriptionDisabled(Refusal):
    message = _("The webhook is disabled. Activate it first.")
    code = "webhook_disabled"


class NoSecretsKey(Refusal):
    message = _("Secrets cannot be stored: the setting SECRETS_KEY is missing.")
    code = "no_secrets_key"


KEYS.update(
    {
        "executions_execution_version_fk": ActiveExecutions,
        "executions_execution_entity_fk": EntityInUse,
        "executions_execution_sealed": ExecutionFrozen,
        "executions_execution_final": ExecutionEnded,
        "executions_execution_passed": ExecutionFrozen,
        "executions_step_passed": ExecutionFrozen,
        "executions_comment_sealed": ExecutionFrozen,
        "executions_comment_withdrawn": ExecutionFrozen,
        "executions_formfile_sealed": ExecutionFrozen,
        "executions_formfile_attached": ExecutionFrozen,
        "executions_move_sealed": ExecutionFrozen,
        "executions_execution_closure_fk": DependentActiveExecutions,
        "executions_execution_closure_id_fk": ExecutionFrozen,
        "executions_execution_closure_sealed": ExecutionFrozen,
        "executions_closure_sealed": ExecutionFrozen,
        "executions_closure_key_sealed": ExecutionFrozen,
        "executions_closuremember_version_fk": DependentActiveExecutions,
        "executions_closuremember_sealed": ExecutionFrozen,
        "executions_closuremember_key_sealed": ExecutionFrozen,
        "executions_closuremember_attached": ExecutionFrozen,
        "executions_closuremember_added": ExecutionFrozen,
        "executions_entity_shape": ContextShape,
        "executions_entity_fields": InvalidFields,
        "executions_entity_sealed": ExecutionFrozen,
    }
)
DELETION_KEYS.update(
    {
        "executions_execution_version_": HasExecutions,
        "executions_move_from_version_": HasExecutions,
        "executions_move_to_version_": HasExecutions,
        "executions_closure_version_": HasExecutions,
        "executions_closuremember_version_": HasExecutions,
        "executions_execution_entity_": EntityInUse,
        "executions_triggeredstart_entity_": EntityInUse,
        "executions_entity_entity_name_type_": TypeInUse,
        "executions_entity_primary_record_type_": TypeInUse,
    }
)
