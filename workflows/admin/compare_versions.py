"""The page that compares two versions of a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.admin.base.formatting import DASH, admin_url, format_moment, json_block, row_id
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.graph_diagram import (
    MAX_NODES,
    build_diagram,
    label_of,
    render_diagram,
    type_title,
)
from workflows.graph.comparison import (
    ADDED,
    CHANGED,
    REMOVED,
    EdgeKey,
    FieldChange,
    GraphChanges,
    compare_graphs,
    list_objects,
)
from workflows.models import Version, Workflow

LISTED = 500
STATE_LABELS = {ADDED: _("Added"), REMOVED: _("Removed"), CHANGED: _("Changed")}


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of two versions beside their graphs."""

    name: str
    before: str
    after: str

    @property
    def differs(self) -> bool:
        """Return True if the versions have different values."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Difference:
    """An added, removed or changed node or edge in words; ``fields`` lists changed values."""

    state: str
    text: str
    key: str = ""
    fields: list[dict[str, Any]] | None = None

    @property
    def state_label(self) -> str:
        """Return the label of the state."""
        return str(STATE_LABELS[self.state])


def compare_page(model_admin: GuardedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the comparison of two versions.

    The parameters ``from`` and ``to`` are version numbers; the defaults are the last two versions.

    Raises:
        Http404: the workflow or one of the versions does not exist.
    """
    model_admin.require(request, "workflows.view_version")
    workflow = Workflow.objects.filter(pk=pk).first()
    if workflow is None:
        raise Http404
    numbers = list(workflow.versions.order_by("-number").values_list("number", flat=True)[:LISTED])
    old = _version_number(request, "from", numbers[min(1, len(numbers) - 1)])
    new = _version_number(request, "to", numbers[0])
    related = ("workflow", "entity_name_type", "primary_record_type", "created_by")
    rows = workflow.versions.select_related(*related).filter(number__in=[old, new])
    versions = {row.number: row for row in rows}
    if not {old, new} <= set(versions):
        raise Http404
    before, after = versions[old], versions[new]
    changes = compare_graphs(before.source, after.source)
    return model_admin.render_page(
        request,
        "workflows/admin/compare.html",
        {
            "title": gettext("Compare versions"),
            "numbers": numbers,
            "before": before,
            "after": after,
            "before_url": admin_url(before, "change", before.pk),
            "after_url": admin_url(after, "change", after.pk),
            "settings": _settings(before, after),
            "diagram": _diagram(before, after, changes),
            "max_nodes": MAX_NODES,
            "differences": differences(before.source, after.source, changes),
        },
        row=workflow,
    )


def _version_number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name)
    if text is None:
        return default
    number = row_id(text)
    if number is None:
        raise Http404
    return number


def _settings(before: Version, after: Version) -> list[Setting]:
    old, new = _values(before), _values(after)
    return [Setting(name, old[name], new[name]) for name in old]


def _values(row: Version) -> dict[str, str]:
    return {
        gettext("Entity name"): row.get_entity_name_display(),
        gettext("Type"): str(row.context_type),
        gettext("Notes"): row.notes or DASH,
        gettext("Saved"): format_moment(row.created_at),
        gettext("By"): row.author or DASH,
        gettext("In force"): gettext("yes") if row.in_force else gettext("no"),
    }


def _merge_sources(before: Any, after: Any) -> dict[str, Any]:
    """Return a source with the nodes and edges of both, those of ``after`` first."""
    return {
        key: [*list_objects(after, key), *list_objects(before, key)] for key in ("nodes", "edges")
    }


def _diagram(before: Version, after: Version, changes: GraphChanges) -> Any:
    merged = _merge_sources(before.source_with_positions, after.source_with_positions)
    known: set[Any] = set()
    edges = []
    for edge in merged["edges"]:
        key = str((edge.get("source"), edge.get("target"), edge.get("sourceHandle")))
        if key not in known:
            known.add(key)
            edges.append(edge)
    states = {key: (state, str(STATE_LABELS[state])) for key, state in changes.nodes.items()}
    diagram = build_diagram({**merged, "edges": edges}, states=states, lines=changes.edges)
    values = {"before": before.number, "after": after.number}
    title = gettext("Differences between version %(before)s and version %(after)s") % values
    return render_diagram(diagram, title, "compare")


def differences(before: Any, after: Any, changes: GraphChanges) -> list[Difference]:
    """Return the differences between two sources in words."""
    nodes = {str(node.get("id")): node for node in reversed(_merge_sources(before, after)["nodes"])}
    found = [
        Difference(state, _node_text(nodes[key]), key)
        for state in (ADDED, REMOVED)
        for key, operation in changes.nodes.items()
        if operation == state
    ]
    for key, fields in changes.fields.items():
        rows = [_field_row(field) for field in fields]
        found.append(Difference(CHANGED, f"“{label_of(nodes[key])}”", key, rows))
    for edge, state in changes.edges.items():
        found.append(Difference(state, _edge_text(edge, nodes)))
    return found


def _node_text(node: Mapping[str, Any]) -> str:
    return f"“{label_of(node)}” ({type_title(str(node.get('type')))})"


def _edge_text(edge: EdgeKey, nodes: Mapping[str, Mapping[str, Any]]) -> str:
    source, target, exit_ = edge
    values = {
        "source": label_of(nodes[source]) if source in nodes else source,
        "target": label_of(nodes[target]) if target in nodes else target,
        "exit": exit_,
    }
    if exit_:
        return gettext("edge from “%(source)s” (%(exit)s) to “%(target)s”") % values
    return gettext("edge from “%(source)s” to “%(target)s”") % values


def _field_row(field: FieldChange) -> dict[str, Any]:
    return {
        "path": field.path,
        "before": DASH if field.operation == ADDED else _value_html(field.before),
        "after": DASH if field.operation == REMOVED else _value_html(field.after),
    }


def _value_html(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return json_block(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return value
