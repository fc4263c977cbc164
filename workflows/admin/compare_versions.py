"""The page that sets two versions of a workflow side by side: in one picture, and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpRequest, HttpResponse

from workflows.admin.base.formatting import NOTHING, admin_url, preformatted, row_id
from workflows.admin.graph_picture import DRAWN, drawing, label_of, picture, type_title
from workflows.graph.changes import ADDED, CHANGED, REMOVED, Changes, changes, objects
from workflows.models import Version, Workflow
from workflows.values import moments

if TYPE_CHECKING:
    from workflows.admin.base.model_admin import GuardedAdmin

LISTED = 500


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that is frozen in a version beside its graph."""

    name: str
    before: str
    after: str

    @property
    def differs(self) -> bool:
        """Whether the two versions have it otherwise."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Told:
    """One difference in words; of a node that was changed, field by field."""

    state: str
    words: str
    key: str = ""
    fields: list[dict[str, Any]] | None = None


def compare_page(model_admin: GuardedAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """``?from=1&to=2``; without, the latest version and the one before it."""
    model_admin.require(request, "workflows.view_version")
    workflow = Workflow.objects.filter(pk=pk).first()
    if workflow is None:
        raise Http404
    numbers = list(workflow.versions.order_by("-number").values_list("number", flat=True)[:LISTED])
    chosen = _number(request, "from", numbers[min(1, len(numbers) - 1)])
    other = _number(request, "to", numbers[0])
    related = ("workflow", "entity_name_type", "primary_record_type", "created_by")
    rows = workflow.versions.select_related(*related).filter(number__in=[chosen, other])
    found = {row.number: row for row in rows}
    if not {chosen, other} <= set(found):
        raise Http404
    before, after = found[chosen], found[other]
    apart = changes(before.source, after.source)
    return model_admin.render_page(
        request,
        "workflows/admin/compare.html",
        {
            "title": "Compare versions",
            "numbers": numbers,
            "before": before,
            "after": after,
            "before_url": admin_url(before, "change", before.pk),
            "after_url": admin_url(after, "change", after.pk),
            "settings": _settings(before, after),
            "picture": _picture(before, after, apart),
            "graph_drawn": DRAWN,
            "told": differences(before.source, after.source, apart),
            "apart": apart,
        },
        row=workflow,
    )


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name)
    if text is None:
        return default
    number = row_id(text)
    if number is None:
        raise Http404
    return number


def _settings(before: Version, after: Version) -> list[Setting]:
    def told(row: Version) -> dict[str, str]:
        return {
            "Entity name": row.get_entity_name_display(),
            "Type": str(row.context_type),
            "Notes": row.notes or NOTHING,
            "Saved": moments.shown(row.created_at),
            "By": row.author or NOTHING,
            "In force": "yes" if row.in_force else "no",
        }

    old, new = told(before), told(after)
    return [Setting(name, old[name], new[name]) for name in old]


def _whole(before: Any, after: Any) -> dict[str, Any]:
    """One source that holds the nodes and edges of both, the newer one's first."""
    return {key: [*objects(after, key), *objects(before, key)] for key in ("nodes", "edges")}


def _picture(before: Version, after: Version, apart: Changes) -> Any:
    whole = _whole(before.source, after.source)
    known: set[Any] = set()
    edges = []
    for edge in whole["edges"]:
        one = (edge.get("source"), edge.get("target"), edge.get("sourceHandle"))
        if str(one) not in known:
            known.add(str(one))
            edges.append(edge)
    states = {key: (state, state.capitalize()) for key, state in apart.nodes.items()}
    drawn = drawing({**whole, "edges": edges}, states=states, lines=apart.edges)
    title = f"What sets version {after.number} apart from version {before.number}"
    return picture(drawn, title, "compare")


def differences(before: Any, after: Any, apart: Changes) -> list[Told]:
    """What sets two sources apart, in words."""
    named = {str(node.get("id")): node for node in reversed(_whole(before, after)["nodes"])}
    told = [
        Told(state, f"“{label_of(named[key])}” ({type_title(str(named[key].get('type')))})", key)
        for state in (ADDED, REMOVED)
        for key, one in apart.nodes.items()
        if one == state
    ]
    for key, fields in apart.fields.items():
        rows = [
            {"path": row.path, "kind": row.kind, **_values(row.before, row.after, row.kind)}
            for row in fields
        ]
        told.append(Told(CHANGED, f"“{label_of(named[key])}”", key, rows))
    for (source, target, handle), state in apart.edges.items():
        ends = [label_of(named[key]) if key in named else key for key in (source, target)]
        by = f" by “{handle}”" if handle else ""
        told.append(Told(state, f"the edge from “{ends[0]}”{by} to “{ends[1]}”"))
    return told


def _values(before: Any, after: Any, kind: str) -> dict[str, Any]:
    return {
        "before": NOTHING if kind == ADDED else _shown(before),
        "after": NOTHING if kind == REMOVED else _shown(after),
    }


def _shown(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return preformatted(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return value
