"""Damage that bypasses the program: every invariant is violated on purpose."""

from __future__ import annotations

from collections.abc import Callable

from tests.executions.damage.audit_log import (
    delete_audit_entry,
    delete_entity,
    delete_last_audit_entry,
    leave_row_unsealed,
    lower_audit_counter,
)
from tests.executions.damage.contexts import (
    change_all_types,
    change_both_types,
    change_callee_type,
    change_caller_type,
    change_entity_type,
    change_execution_context,
    change_idle_type,
    change_version_type,
    clear_version_context,
    clear_workflow_context,
    release_version,
)
from tests.executions.damage.pins import (
    change_pin_context,
    change_version_of_closure,
    delete_all_pins,
    delete_pin,
    delete_pin_of_ended_execution,
    edit_closure_checksum,
    give_closure_to_child,
    pin_later_version,
    pin_other_version_than_child,
    pin_other_workflow,
    release_closure,
    release_pin,
    remove_closure,
)
from tests.executions.damage.steps import (
    add_unknown_edge,
    change_assignees,
    close_branch,
    close_calling_step,
    close_step,
    close_step_with_date,
    delete_jobs,
    reopen_step,
)
from tests.executions.damage.target import DamageTarget, change, unguarded
from tests.executions.damage.trees import (
    cancel_child,
    change_entity_of_child,
    change_parent,
    change_workflow_of_execution,
    complete_child,
    detach_child,
    end_execution,
    end_root,
    revive_execution,
    run_version_of_other_workflow,
    run_version_of_other_workflow_in_child,
)
from tests.executions.damage.versions import (
    add_cyclic_reference,
    add_reference,
    delete_references,
    delete_version,
    edit_callee,
    edit_checksum,
    edit_source,
    name_missing_secret,
    release_reference,
    renumber_version,
)

__all__ = ["REPAIRABLE", "UNREPAIRABLE", "DamageTarget", "change", "unguarded"]

REPAIRABLE: dict[str, tuple[str, Callable[[DamageTarget], str]]] = {
    "type of a running workflow": ("I1", change_caller_type),
    "type of an idle workflow": ("I2", change_idle_type),
    "type of a callee": ("I3", change_callee_type),
    "type of caller and callee": ("I1", change_both_types),
    "type of a version": ("I4", change_version_type),
    "types of workflows and versions": ("I4", change_all_types),
    "context of a version emptied": ("I4", clear_version_context),
    "context of a workflow emptied": ("I1", clear_workflow_context),
    "version released": ("I1", release_version),
    "version renumbered": ("I4", renumber_version),
    "callee edited in a source": ("I4", edit_callee),
    "checksum edited": ("I4", edit_checksum),
    "pin deleted": ("I3", delete_pin),
    "all pins deleted": ("I3", delete_all_pins),
    "pin of another workflow's version": ("I3", pin_other_workflow),
    "pin of a later version": ("I3", pin_later_version),
    "pin apart from its child": ("I3", pin_other_version_than_child),
    "pin let go": ("I3", release_pin),
    "context of a pin": ("I3", change_pin_context),
    "closure removed": ("I3", remove_closure),
    "closure let go": ("I3", release_closure),
    "checksum of a closure edited": ("I3", edit_closure_checksum),
    "closure of another version": ("I3", change_version_of_closure),
    "closure of a child": ("I3", give_closure_to_child),
    "pin of an ended execution deleted": ("I4", delete_pin_of_ended_execution),
    "on another workflow's version": ("I1", run_version_of_other_workflow),
    "of another workflow": ("I1", change_workflow_of_execution),
    "child on another workflow's version": ("I1", run_version_of_other_workflow_in_child),
    "context of an execution": ("I1", change_execution_context),
    "type of an entity": ("I5", change_entity_type),
    "entity of a child": ("I8", change_entity_of_child),
    "references deleted": ("I6", delete_references),
    "reference added": ("I6", add_reference),
    "reference that closes a cycle": ("I7", add_cyclic_reference),
    "reference let go": ("I6", release_reference),
    "open step closed": ("I8", close_step),
    "open step closed, with its date": ("I8", close_step_with_date),
    "closed step opened": ("I8", reopen_step),
    "ended alone": ("I8", end_execution),
    "root ended alone": ("I8", end_root),
    "child ended alone": ("I8", cancel_child),
    "child completed alone": ("I8", complete_child),
    "calling step closed": ("I8", close_calling_step),
    "calling step without its child": ("I8", detach_child),
    "child of another parent": ("I8", change_parent),
    "terminal execution revived": ("I8", revive_execution),
    "jobs deleted": ("I8", delete_jobs),
    "others asked than are named": ("I8", change_assignees),
    "branch before a join closed": ("I8", close_branch),
    "edge of a branch at a join unknown": ("I8", add_unknown_edge),
    "row left unsealed": ("write_once", leave_row_unsealed),
    "counter behind the log": ("audit_log", lower_audit_counter),
}
"""Damage that the repair resolves: the violated invariant, and the function that does it."""


UNREPAIRABLE: dict[str, tuple[str, Callable[[DamageTarget], str]]] = {
    "secret of a trigger gone": ("I9", name_missing_secret),
    "source edited": ("I4", edit_source),
    "version deleted": ("foreign_key", delete_version),
    "entity deleted": ("foreign_key", delete_entity),
    "entry of the log deleted": ("audit_log", delete_audit_entry),
    "last entry of the log deleted": ("audit_log", delete_last_audit_entry),
}
"""Damage that needs a decision by an operator."""
