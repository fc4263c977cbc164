"""What the page of an execution tells: the facts, where it stands, what has been."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html

from executions.admin.entity import entity_page
from executions.admin.path_picture import lasted, path
from executions.admin.steps import OpenStep, open_steps
from executions.models import OPERATE, START, Entity, Execution, Pin, Step, may_view_entity
from workflows.admin.base.formatting import admin_url, link, log_url, pretty
from workflows.admin.graph_picture import DRAWN, icon, icon_of, type_title
from workflows.admin.graph_sections import node_urls
from workflows.graph.changes import objects
from workflows.models import Version
from workflows.visibility import may_view

HISTORY = 200
SHORT = 80


def told(request: HttpRequest, row: Execution, bound: dict[str, Any]) -> dict[str, Any]:
    """The context of the page; ``bound`` has the forms that were refused, by step."""
    may_operate = request.user.has_perm(OPERATE)
    pins = Pin.objects.filter(root_id=row.root_or_self_id)
    steps = Step.objects.filter(execution=row).select_related("closed_by", "child")
    total = steps.count()
    newest = list(steps.prefetch_related("votes").order_by("-pk")[:HISTORY])
    standing: list[OpenStep] = open_steps(row, request.user, bound=bound)
    may_see = may_view(request.user, Version)
    may_see_steps = may_view(request.user, Step)
    may_see_entity = may_view_entity(request.user, row.entity.entity_name)
    return {
        "execution": row,
        "graph": path(row, newest[::-1], node_urls(row.version)) if may_see else None,
        "may_see_graph": may_see,
        "graph_size": len(objects(row.version.source, "nodes")),
        "graph_drawn": DRAWN,
        "workflow_link": link(row.workflow),
        "version_link": link(row.version, f"Version {row.version.number}"),
        "entity_link": _entity_link(row.entity) if may_see_entity else row.entity,
        "entity_type": row.entity.context_type,
        "entity_fields": [
            (name, in_short(value))
            for name, value in (row.entity.fields.items() if may_see_entity else ())
        ],
        "parent_link": link(row.parent),
        "children": row.children.select_related("workflow", "version").defer("version__source"),
        "pins": pins.select_related("callee", "version").defer("version__source"),
        "open_steps": standing,
        "history": [
            {
                "step": step,
                "title": step.label or step.node_id,
                "kind": type_title(step.type),
                "icon": icon(icon_of(step.type)),
                "lasted": lasted(step),
                "input": _shown(step.input) if may_see_steps else None,
                "output": _shown(step.output) if may_see_steps else None,
                "votes": step.votes.all(),
            }
            for step in reversed(newest)
        ],
        "history_total": total,
        "log_url": log_url(request, row.cuid),
        "restart_url": may_operate
        and request.user.has_perm(START)
        and row.parent_id is None
        and admin_url(Execution, "restart", row.pk),
        "cancel_url": may_operate and row.live and admin_url(Execution, "cancel", row.pk),
    }


def _entity_link(entity: Entity) -> str:
    return format_html('<a href="{}">{}</a>', entity_page(entity), entity)


def in_short(value: Any) -> str:
    """One value of an entity's fields, on one line where it fits."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else pretty(value)


def _shown(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    text = pretty(value)
    flat = " ".join(text.split())
    return {"text": text, "short": flat if len(flat) <= SHORT else None}
