"""Edit steps of a graph: each function takes a source and returns a changed copy.

The functions do not check whether the result is valid; ``parse`` does. They keep ids unique and
edges between existing nodes, if that was so before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from django.utils.translation import gettext as _

from workflows.db.json_values import quoted
from workflows.graph.comparison import EdgeKey, edge_key, list_objects
from workflows.graph.graph import START
from workflows.graph.node_types import NodeType, node_types

Source = dict[str, Any]
Exit = str | None
"""The name of an exit, or None for the unnamed exit."""


class GraphEditError(ValueError):
    """The edit is impossible; the message is shown to users."""


def require_editable(source: object) -> Source:
    """Return the source if it can be edited: all nodes have unique ids.

    Raises:
        GraphEditError: the source is not a graph, or an id is missing or repeated.
    """
    if not isinstance(source, dict) or set(source) != {"nodes", "edges"}:
        raise GraphEditError(_('A graph is an object with "nodes" and "edges" and nothing else.'))
    for key in ("nodes", "edges"):
        rows = source[key]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise GraphEditError(_('"%(key)s" must be a list of objects.') % {"key": key})
    seen: set[str] = set()
    for node in source["nodes"]:
        key = node.get("id")
        if not isinstance(key, str) or not key:
            raise GraphEditError(_('Every node needs an "id": text that is not empty.'))
        if key in seen:
            raise GraphEditError(_("Two nodes have the id %(id)s.") % {"id": quoted(key)})
        seen.add(key)
    return source


def find_node(source: Source, node_id: str) -> dict[str, Any]:
    """Return the node with this id. Raises ``GraphEditError`` if there is none."""
    for node in list_objects(source, "nodes"):
        if node.get("id") == node_id:
            return node
    raise GraphEditError(_("The graph no longer has the node %(id)s.") % {"id": quoted(node_id)})


def node_data(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a node, or an empty dict."""
    data = node.get("data")
    return data if isinstance(data, dict) else {}


def list_required_exits(node: Mapping[str, Any]) -> tuple[Exit, ...]:
    """Return the exits that need an edge, by the type and data of a node; empty for an end."""
    node_type = node_types().get(str(node.get("type")))
    if node_type is None:
        return (None,)
    if node_type.ends:
        return ()
    return tuple(dict.fromkeys(node_type.handles(node_data(node)) or (None,)))


def list_optional_exits(node: Mapping[str, Any]) -> tuple[Exit, ...]:
    """Return the exits of a node that need no edge."""
    node_type = node_types().get(str(node.get("type")))
    return () if node_type is None else node_type.optional_exits


def list_exits(node: Mapping[str, Any]) -> tuple[Exit, ...]:
    """Return the exits of a node; those that need no edge come last."""
    return tuple(dict.fromkeys((*list_required_exits(node), *list_optional_exits(node))))


def is_fork(node: Mapping[str, Any]) -> bool:
    """Return True if an execution takes all outgoing edges of the node."""
    node_type = node_types().get(str(node.get("type")))
    return node_type is not None and node_type.forks


def list_targets(source: Source, node_id: str) -> list[tuple[Exit, str | None]]:
    """Return each exit of a node with the id of its target, or None without a target.

    Edges by an exit that the node does not have come last.
    """
    edges = [edge for edge in list_objects(source, "edges") if edge.get("source") == node_id]
    found: list[tuple[Exit, str | None]] = []
    left = list(edges)
    for exit_ in list_exits(find_node(source, node_id)):
        own = [edge for edge in edges if _exit(edge) == exit_]
        found += [(exit_, str(edge.get("target"))) for edge in own] or [(exit_, None)]
        left = [edge for edge in left if edge not in own]
    return found + [(_exit(edge), str(edge.get("target"))) for edge in left]


def list_incoming(source: Source, node_id: str) -> list[EdgeKey]:
    """Return the keys of the edges that lead to a node."""
    edges = list_objects(source, "edges")
    return [edge_key(edge) for edge in edges if edge.get("target") == node_id]


def add_node_after(
    source: Source,
    node_id: str,
    type_name: str,
    *,
    label: str = "",
    exit_: Exit = None,
    before: str | None = None,
) -> tuple[Source, str]:
    """Add a node after another; return the changed source and the id of the new node.

    Args:
        type_name: The type of the new node.
        exit_: The exit that leads to the new node.
        before: The current target of that exit: the new node is inserted in between, and its
            required exits lead to that target. None: the exit has no target yet, or the new node
            is one more branch.

    Raises:
        GraphEditError: the place or the type does not exist, or nothing can follow there.
    """
    changed = deepcopy(source)
    node = find_node(changed, node_id)
    new_type = _find_type(type_name)
    if type_name == START:
        raise GraphEditError(_("A graph has exactly one start node."))
    _require_exit(node, exit_)
    new_id = unused_id(type_name, (str(row.get("id")) for row in list_objects(changed, "nodes")))
    new = {"id": new_id, "type": type_name, "data": {"label": label or new_type.title}}
    replaced = _find_edge(changed, (node_id, before, exit_)) if before is not None else None
    if before is not None and replaced is None:
        raise GraphEditError(_("The exit no longer leads to that node."))
    if replaced is None and not is_fork(node):
        taken = [edge for edge in _outgoing(changed, node_id) if _exit(edge) == exit_]
        if taken:
            raise GraphEditError(_("The exit already leads to a node."))
    rows = changed["nodes"]
    rows.insert(rows.index(node) + 1, new)
    if replaced is not None:
        changed["edges"].remove(replaced)
    _add_edge(changed, node_id, new_id, exit_)
    if before is not None:
        for new_exit in list_required_exits(new):
            _add_edge(changed, new_id, before, new_exit)
    return changed, new_id


def connect_nodes(source: Source, node_id: str, target: str, *, exit_: Exit = None) -> Source:
    """Add an edge from an exit to a node; unless the node is a fork, it replaces the exit's edge.

    Raises:
        GraphEditError: nothing can follow the node, or nothing may lead to the target.
    """
    changed = deepcopy(source)
    node, other = find_node(changed, node_id), find_node(changed, target)
    _require_exit(node, exit_)
    if other.get("type") == START:
        raise GraphEditError(_("No edge may lead to the start node."))
    if _find_edge(changed, (node_id, target, exit_)) is not None:
        raise GraphEditError(_("The exit already leads to that node."))
    if not is_fork(node):
        _remove_edges(changed, lambda edge: edge.get("source") == node_id and _exit(edge) == exit_)
    _add_edge(changed, node_id, target, exit_)
    return changed


def disconnect_nodes(source: Source, node_id: str, target: str, *, exit_: Exit = None) -> Source:
    """Remove an edge. Raises ``GraphEditError`` if it does not exist."""
    changed = deepcopy(source)
    edge = _find_edge(changed, (node_id, target, exit_))
    if edge is None:
        raise GraphEditError(_("The edge no longer exists."))
    changed["edges"].remove(edge)
    return changed


def set_node_data(
    source: Source,
    node_id: str,
    data: Mapping[str, Any],
    *,
    renamed: Mapping[str, str] | None = None,
) -> Source:
    """Replace the data of a node.

    Edges follow exits that were ``renamed`` (old name to new name); edges of removed exits are
    removed.
    """
    changed = deepcopy(source)
    node = find_node(changed, node_id)
    before = list_exits(node)
    node["data"] = deepcopy(dict(data))
    after = list_exits(node)
    moves: dict[Exit, Exit] = {
        old: new for old, new in (renamed or {}).items() if old in before and new in after
    }
    if before and after and (None in before) != (None in after):
        # The first of several exits takes the place of a single one, and the other way round.
        moves[before[0]] = after[0]
    for edge in _outgoing(changed, node_id):
        old = _exit(edge)
        if old in moves:
            edge["sourceHandle"] = moves[old]
            if moves[old] is None:
                del edge["sourceHandle"]
    removed = {exit_ for exit_ in before if exit_ not in after}
    _remove_edges(changed, lambda edge: edge.get("source") == node_id and _exit(edge) in removed)
    return changed


def delete_node(source: Source, node_id: str) -> Source:
    """Remove a node and connect its incoming edges with the target of its first exit.

    Raises:
        GraphEditError: the node is the start node.
    """
    changed = deepcopy(source)
    node = find_node(changed, node_id)
    if node.get("type") == START:
        raise GraphEditError(_("The start node cannot be deleted. A graph has exactly one."))
    targets = [target for _exit_, target in list_targets(changed, node_id)]
    onward = [target for target in targets if target not in (None, node_id)]
    incoming = [edge for edge in list_objects(changed, "edges") if edge.get("target") == node_id]
    changed["nodes"].remove(node)
    _remove_edges(changed, lambda edge: node_id in (edge.get("source"), edge.get("target")))
    if onward and onward[0] is not None:
        for edge in incoming:
            key = (str(edge.get("source")), onward[0], _exit(edge))
            # An edge to its own source, or a duplicate edge, is left out.
            if key[0] not in (node_id, onward[0]) and _find_edge(changed, key) is None:
                _add_edge(changed, *key)
    return changed


def duplicate_node(source: Source, node_id: str, label: str) -> tuple[Source, str]:
    """Copy a node with its settings; return the changed source and the id of the copy.

    The exits of the copy lead where those of the node lead. The copy is one more branch of a fork
    before the node. Otherwise, the node's only edge leads to the copy.

    Args:
        label: the label of the copy.

    Raises:
        GraphEditError: the node is the start node.
    """
    changed = deepcopy(source)
    node = find_node(changed, node_id)
    if node.get("type") == START:
        raise GraphEditError(_("A graph has exactly one start node."))
    names = {str(row.get("id")) for row in list_objects(changed, "nodes")}
    new_id = unused_id(str(node.get("type")), names)
    new = {**deepcopy(node), "id": new_id, "data": {**deepcopy(node_data(node)), "label": label}}
    new.pop("position", None)
    changed["nodes"].insert(changed["nodes"].index(node) + 1, new)
    outgoing = _outgoing(changed, node_id)
    for edge in outgoing:
        _add_edge(changed, new_id, str(edge.get("target")), _exit(edge))
    forks = [
        (before, exit_)
        for before, _target, exit_ in list_incoming(source, node_id)
        if before != node_id and is_fork(find_node(source, before))
    ]
    for before, exit_ in forks:
        _add_edge(changed, before, new_id, exit_ or None)
    if not forks and len(outgoing) == 1:
        outgoing[0]["target"] = new_id
    return changed, new_id


def _find_type(name: str) -> NodeType:
    found = node_types().get(name)
    if found is None:
        raise GraphEditError(_("Unknown node type %(type)s.") % {"type": quoted(name)})
    return found


def _exit(edge: Mapping[str, Any]) -> Exit:
    handle = edge.get("sourceHandle")
    return None if handle is None else str(handle)


def _outgoing(source: Source, node_id: str) -> list[dict[str, Any]]:
    return [edge for edge in list_objects(source, "edges") if edge.get("source") == node_id]


def _find_edge(source: Source, key: tuple[str, str | None, Exit]) -> dict[str, Any] | None:
    for edge in list_objects(source, "edges"):
        if (edge.get("source"), edge.get("target"), _exit(edge)) == key:
            return edge
    return None


def _remove_edges(source: Source, is_removed: Any) -> None:
    source["edges"] = [
        edge for edge in source["edges"] if not (isinstance(edge, dict) and is_removed(edge))
    ]


def _require_exit(node: Mapping[str, Any], exit_: Exit) -> None:
    exits = list_exits(node)
    if not exits:
        raise GraphEditError(_("Nothing can follow this node."))
    if exit_ not in exits:
        raise GraphEditError(_("The node no longer has this exit."))


def _add_edge(source: Source, node_id: str, target: str, exit_: Exit) -> None:
    used = [str(edge.get("id")) for edge in list_objects(source, "edges")]
    edge = {"id": unused_id(f"{node_id}-{target}", used), "source": node_id, "target": target}
    if exit_ is not None:
        edge["sourceHandle"] = exit_
    source["edges"].append(edge)


def unused_id(wanted: str, used: Iterable[str]) -> str:
    """Return the wanted id, with a number if it is used."""
    taken = set(used)
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
