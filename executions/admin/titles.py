"""Titles and pages of executions, steps and entities, for headings, links and messages."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from executions.models import Execution, Finding, InventoryModel, Step
from workflows.admin.base.formatting import admin_url
from workflows.models import EntityName


def entity_page(entity: Any) -> str:
    """Return the URL of an entity's page, as a finding or an inventory model."""
    model = Finding if entity.entity_name == EntityName.FINDING else InventoryModel
    return admin_url(model, "change", entity.pk)


def execution_title(execution: Execution) -> str:
    """Return the title of an execution: its workflow and its entity."""
    values = {"workflow": execution.workflow, "entity": execution.entity}
    return _("%(workflow)s on “%(entity)s”") % values


def step_title(step: Step) -> str:
    """Return the label of a step's node, or the node id if it has no label."""
    return step.label or step.node_id
