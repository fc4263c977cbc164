"""The context of the execution page: details, current steps, path and history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db.models import BooleanField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext

from executions.admin.comments import comment_context
from executions.admin.files import file_context
from executions.admin.incidents import executions_alike
from executions.admin.path_diagram import duration_text, earlier_paths, path_diagram
from executions.admin.steps import OpenStep, open_steps
from executions.admin.titles import entity_page, execution_title, step_title
from executions.engine.file_answers import file_names
from executions.models import (
    OPERATE,
    START,
    ClosureMember,
    Entity,
    Execution,
    Step,
    Visits,
    may_view_entity,
    read_children,
)
from workflows.admin.base.formatting import DASH, admin_url, link, log_url, pretty_json
from workflows.admin.graph_diagram import MAX_NODES, icon, icon_of, type_title
from workflows.admin.graph_sections import node_urls
from workflows.db.bounded_count import OVERVIEW_LIMIT, count_rows
from workflows.graph.comparison import list_objects
from workflows.models import PendingWorkflow, Version, Workflow
from workflows.visibility import may_view

HISTORY_LENGTH = 200
MAX_INLINE_LENGTH = 80


def annotate_offers(rows: QuerySet[Execution]) -> QuerySet[Any]:
    """Annotate executions with what can be offered: ``may_restart`` and ``has_other_versions``.

    A move without a version beside the present one would change nothing, unless a workflow that
    it calls has a newer one.
    """
    others = Version.objects.filter(workflow=OuterRef("workflow")).exclude(pk=OuterRef("version"))
    newer = Version.objects.filter(
        workflow=OuterRef("callee"), number__gt=OuterRef("version__number")
    )
    pinned = ClosureMember.objects.filter(Exists(newer), closure=OuterRef("closure"))
    draining = PendingWorkflow.objects.filter(workflow=OuterRef("workflow"), waiting=True)
    is_active = Q(workflow__state=Workflow.State.ACTIVE)
    of_same_type = Q(workflow__context_key=F("entity__context_key"))
    return rows.annotate(
        has_other_versions=Exists(others) | Exists(pinned),
        may_restart=ExpressionWrapper(
            is_active & of_same_type & ~Exists(draining), output_field=BooleanField()
        ),
    )


def execution_context(
    request: HttpRequest, row: Any, bound: dict[str, Any], comment_form: Any = None
) -> dict[str, Any]:
    """Return the context of the page.

    Args:
        bound: the forms with errors, by the cuid of their step.
        comment_form: the form of a comment, if it has errors.
    """
    may_operate = request.user.has_perm(OPERATE)
    moves = list(
        row.moves.select_related("from_version", "to_version", "by").defer(
            "from_version__source", "to_version__source"
        )
    )
    visits = Visits(row)
    newest = visits[-HISTORY_LENGTH:]
    read_children(newest)
    children = list(
        row.children.select_related("workflow", "version")
        .defer("version__source", "variables", "passed")
        .order_by("item", "-pk")
    )
    may_view_graph = may_view(request.user, Version)
    may_view_steps = may_view(request.user, Step)
    current = [
        _with_cause(row, item, may_view_values=may_view_steps, may_operate=may_operate)
        for item in open_steps(row, request.user, bound=bound)
    ]
    history = [_history_row(step, may_view_steps) for step in newest]
    may_view_fields = may_view_entity(request.user, row.entity.entity_name)
    return {
        "title": gettext("Execution"),
        "subtitle": execution_title(row),
        "execution": row,
        "graph": path_diagram(row, newest, node_urls(row.version), is_moved=bool(moves))
        if may_view_graph
        else None,
        "earlier_paths": earlier_paths(row) if may_view_graph and moves else [],
        "may_view_graph": may_view_graph,
        "first_node": "#graph-current" if current else "#graph-0",
        "graph_size": len(list_objects(row.version.source, "nodes")),
        "max_nodes": MAX_NODES,
        "workflow_link": link(row.workflow),
        "version_link": link(
            row.version, gettext("version %(number)s") % {"number": row.version.number}
        ),
        "entity_link": _entity_link(row.entity) if may_view_fields else row.entity,
        "entity_type": row.entity.context_type,
        "entity_fields": [
            (name, field_text(value))
            for name, value in (row.entity.fields.items() if may_view_fields else ())
        ],
        "variables": [
            (name, field_text(value))
            for name, value in (row.variables.items() if may_view_fields else ())
        ],
        "parent_link": row.parent and link(row.parent, execution_title(row.parent)),
        "children": children,
        "has_items": any(child.item is not None for child in children),
        "pins": row.pins.select_related("callee", "version").defer("version__source"),
        "open_steps": current,
        "incidents": [item for item in current if item.step.incident],
        "history": history,
        "history_total": len(visits),
        **comment_context(
            row,
            history,
            request.user,
            is_complete=len(visits) == len(newest),
            form=comment_form,
        ),
        "log_url": log_url(request, row.cuid),
        "restart_url": may_operate
        and request.user.has_perm(START)
        and row.parent_id is None
        and row.may_restart
        and admin_url(Execution, "restart", row.pk),
        "move_url": may_operate
        and row.live
        and row.parent_id is None
        and row.has_other_versions
        and admin_url(Execution, "move", row.pk),
        "moves": moves,
        **file_context(row, request.user),
        "cancel_url": may_operate and row.live and admin_url(Execution, "cancel", row.pk),
    }


def _with_cause(
    row: Execution, item: OpenStep, *, may_view_values: bool, may_operate: bool
) -> OpenStep:
    """Add to an incident its request and response, and the number of others like it."""
    step = item.step
    if not step.incident:
        return item
    values = (step.input, step.output) if may_view_values else (None, None)
    if may_operate:
        step.execution = row
        alike = count_rows(executions_alike(step), OVERVIEW_LIMIT)
        item = replace(
            item,
            alike=alike.number,
            alike_url=admin_url(Execution, "retry_alike", row.pk, step.cuid),
        )
    return replace(item, request=_value_context(values[0]), response=_value_context(values[1]))


def _history_row(step: Step, may_view_values: bool) -> dict[str, Any]:
    return {
        "step": step,
        "title": step_title(step),
        "type_title": type_title(step.type),
        "icon": icon(icon_of(step.type)),
        "duration": duration_text(step),
        "input": _value_context(step.input) if may_view_values else None,
        "output": _value_context(step.output) if may_view_values else None,
        "votes": step.cast_votes,
    }


def _entity_link(entity: Entity) -> str:
    return format_html('<a href="{}">{}</a>', entity_page(entity), entity)


def field_text(value: Any) -> str:
    """Return the value of an entity's field as text."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if names := file_names(value):
        return ", ".join(names)
    return value if isinstance(value, str) else pretty_json(value)


def _value_context(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    text = pretty_json(value)
    flat = " ".join(text.split())
    return {"text": text, "short": flat if len(flat) <= MAX_INLINE_LENGTH else None}
