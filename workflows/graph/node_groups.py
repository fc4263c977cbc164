"""Edit steps of several nodes of a graph: copy, paste, delete."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy

from django.utils.translation import gettext as _

from workflows.graph.comparison import list_objects
from workflows.graph.edit_steps import (
    GraphEditError,
    Source,
    delete_node,
    find_node,
    node_data,
    unused_id,
)
from workflows.graph.graph import START
from workflows.graph.parsing import MAX_NODES
from workflows.graph.positions import MAX_COORDINATE, is_position, list_positions

SHIFT = 40
"""The distance of pasted nodes from the copied ones, to the right and down, in pixels."""


def copy_nodes(source: Source, ids: Collection[str]) -> Source:
    """Return some nodes of a source, with the edges between them. Start nodes are left out.

    Raises:
        GraphEditError: a node does not exist, or none is left.
    """
    nodes = [find_node(source, node_id) for node_id in dict.fromkeys(ids)]
    copied = [deepcopy(node) for node in nodes if node.get("type") != START]
    if not copied:
        raise GraphEditError(_("Select nodes other than the start node."))
    known = {node["id"] for node in copied}
    edges = [
        deepcopy(edge)
        for edge in list_objects(source, "edges")
        if {edge.get("source"), edge.get("target")} <= known
    ]
    return {"nodes": copied, "edges": edges}


def paste_nodes(source: Source, copied: Source) -> tuple[Source, list[str]]:
    """Add copied nodes with new ids; return the changed source and the ids.

    A label that the graph has already gets the word "copy". The nodes are next to the copied ones
    if the graph has positions.

    Raises:
        GraphEditError: the graph would have too many nodes.
    """
    changed = deepcopy(source)
    if len(changed["nodes"]) + len(copied["nodes"]) > MAX_NODES:
        raise GraphEditError(_("A graph has at most %(most)s nodes.") % {"most": MAX_NODES})
    is_arranged = bool(list_positions(source))
    used = {str(node.get("id")) for node in changed["nodes"]}
    labels = {node_data(node).get("label") for node in changed["nodes"]}
    renamed: dict[str, str] = {}
    for old in copied["nodes"]:
        new = deepcopy(old)
        new["id"] = renamed[str(old["id"])] = unused_id(str(old.get("type")), used)
        used.add(new["id"])
        label = node_data(new).get("label")
        if label in labels and isinstance(label, str):
            new["data"]["label"] = _("%(label)s (copy)") % {"label": label}
        position = new.pop("position", None)
        if is_arranged and is_position(position):
            new["position"] = {
                axis: min(value + SHIFT, MAX_COORDINATE) for axis, value in position.items()
            }
        changed["nodes"].append(new)
    taken = {str(edge.get("id")) for edge in changed["edges"]}
    for old in copied["edges"]:
        one, other = renamed[str(old["source"])], renamed[str(old["target"])]
        edge_id = unused_id(f"{one}-{other}", taken)
        taken.add(edge_id)
        changed["edges"].append({**deepcopy(old), "id": edge_id, "source": one, "target": other})
    return changed, [*renamed.values()]


def delete_nodes(source: Source, ids: Collection[str]) -> Source:
    """Remove nodes one after the other, each as ``delete_node`` does.

    Raises:
        GraphEditError: a node does not exist, or is the start node.
    """
    for node_id in dict.fromkeys(ids):
        source = delete_node(source, node_id)
    return source
