"""Titles of executions and steps for headings, links and messages."""

from __future__ import annotations

from django.utils.translation import gettext as _

from executions.models import Execution, Step


def execution_title(execution: Execution) -> str:
    """Return the title of an execution: its workflow and its entity."""
    values = {"workflow": execution.workflow, "entity": execution.entity}
    return _("%(workflow)s on “%(entity)s”") % values


def step_title(step: Step) -> str:
    """Return the label of a step's node, or the node id if it has no label."""
    return step.label or step.node_id
