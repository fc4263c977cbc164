"""What can be done to a drawing, one step at a time: source in, another source out.

Nothing here changes what it is given, and nothing asks whether the outcome is sound: that is
``parse``'s. What holds of every outcome is that ids are unique and edges lead from node to node,
where this was so before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from workflows.db.json_values import quoted
from workflows.graph.changes import Way, objects, way
from workflows.graph.graph import START
from workflows.graph.node_types import NodeType, node_types

Source = dict[str, Any]
Exit = str | None
"""The name of an exit; None is the one without a name."""


class CannotEdit(ValueError):
    """The drawing has no such place, or nothing can be there; its text is for people."""


def readable(source: object) -> Source:
    """A drawing that can be edited, its nodes told apart by ids. Raises ``CannotEdit``."""
    if not isinstance(source, dict) or set(source) != {"nodes", "edges"}:
        raise CannotEdit('A drawing is an object with "nodes" and "edges", and nothing else.')
    for key in ("nodes", "edges"):
        rows = source[key]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise CannotEdit(f'The "{key}" of a drawing must be a list of objects.')
    seen: set[str] = set()
    for node in source["nodes"]:
        key = node.get("id")
        if not isinstance(key, str) or not key:
            raise CannotEdit("Every node needs an id, a text that is not empty.")
        if key in seen:
            raise CannotEdit(f"The id {quoted(key)} belongs to two nodes.")
        seen.add(key)
    return source


def node_of(source: Source, node_id: str) -> dict[str, Any]:
    """The node with this id. Raises ``CannotEdit``."""
    for node in objects(source, "nodes"):
        if node.get("id") == node_id:
            return node
    raise CannotEdit(f"There is no node {quoted(node_id)} in the drawing any more.")


def data_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """The data of a node, empty where it has none."""
    data = node.get("data")
    return data if isinstance(data, dict) else {}


def exits_of(node: Mapping[str, Any]) -> tuple[Exit, ...]:
    """The exits that a node has by its type and its data; none where nothing can follow."""
    kind = node_types().get(str(node.get("type")))
    if kind is None:
        return (None,)
    if kind.ends:
        return ()
    return tuple(dict.fromkeys(kind.handles(data_of(node)) or (None,)))


def forks(node: Mapping[str, Any]) -> bool:
    """Whether all ways out of a node are taken, however many there are."""
    kind = node_types().get(str(node.get("type")))
    return kind is not None and kind.forks


def ways_out(source: Source, node_id: str) -> list[tuple[Exit, str | None]]:
    """Each way out of a node: its exit, and the id that it leads to, None while it leads nowhere.

    Edges that leave by an exit which the node does not have come last.
    """
    edges = [edge for edge in objects(source, "edges") if edge.get("source") == node_id]
    found: list[tuple[Exit, str | None]] = []
    left = list(edges)
    for exit_ in exits_of(node_of(source, node_id)):
        mine = [edge for edge in edges if _exit(edge) == exit_]
        found += [(exit_, str(edge.get("target"))) for edge in mine] or [(exit_, None)]
        left = [edge for edge in left if edge not in mine]
    return found + [(_exit(edge), str(edge.get("target"))) for edge in left]


def ways_in(source: Source, node_id: str) -> list[Way]:
    """The edges that lead to a node."""
    return [way(edge) for edge in objects(source, "edges") if edge.get("target") == node_id]


def add_after(
    source: Source,
    node_id: str,
    kind: str,
    *,
    label: str = "",
    exit_: Exit = None,
    before: str | None = None,
) -> tuple[Source, str]:
    """Put a new node behind another; the outcome and the id of the new one.

    Args:
        exit_: the exit that leads to the new node.
        before: where that exit leads now: the new node comes in between, and all of its own
            exits lead there. None: the exit leads nowhere yet, or it is one more branch.

    Raises:
        CannotEdit: there is no such place, no such type, or nothing can follow there.
    """
    changed = deepcopy(source)
    node = node_of(changed, node_id)
    new_type = _type(kind)
    if kind == START:
        raise CannotEdit("A drawing has exactly one start.")
    _refuse_exit(node, exit_)
    new_id = _unused(kind, (str(row.get("id")) for row in objects(changed, "nodes")))
    new = {"id": new_id, "type": kind, "data": {"label": label or new_type.title}}
    there = _edge(changed, (node_id, before, exit_)) if before is not None else None
    if before is not None and there is None:
        raise CannotEdit("That way does not lead there any more.")
    if there is None and not forks(node):
        taken = [edge for edge in _leaving(changed, node_id) if _exit(edge) == exit_]
        if taken:
            raise CannotEdit("That way leads somewhere already.")
    rows = changed["nodes"]
    rows.insert(rows.index(node) + 1, new)
    if there is not None:
        changed["edges"].remove(there)
    _add_edge(changed, node_id, new_id, exit_)
    if before is not None:
        for one in exits_of(new):
            _add_edge(changed, new_id, before, one)
    return changed, new_id


def connect(source: Source, node_id: str, target: str, *, exit_: Exit = None) -> Source:
    """Let an exit lead to a node: one more of them where the node forks, else there instead.

    Raises ``CannotEdit`` where nothing can follow, or nothing may lead.
    """
    changed = deepcopy(source)
    node, other = node_of(changed, node_id), node_of(changed, target)
    _refuse_exit(node, exit_)
    if other.get("type") == START:
        raise CannotEdit("Nothing can lead into the start.")
    if _edge(changed, (node_id, target, exit_)) is not None:
        raise CannotEdit("That way leads there already.")
    if not forks(node):
        _drop(changed, lambda edge: edge.get("source") == node_id and _exit(edge) == exit_)
    _add_edge(changed, node_id, target, exit_)
    return changed


def disconnect(source: Source, node_id: str, target: str, *, exit_: Exit = None) -> Source:
    """Take an edge away. Raises ``CannotEdit`` when it is not there."""
    changed = deepcopy(source)
    edge = _edge(changed, (node_id, target, exit_))
    if edge is None:
        raise CannotEdit("That edge is not there any more.")
    changed["edges"].remove(edge)
    return changed


def set_data(
    source: Source,
    node_id: str,
    data: Mapping[str, Any],
    *,
    renamed: Mapping[str, str] | None = None,
) -> Source:
    """Give a node other data. Edges move along with exits that were ``renamed``, old name to new;
    what left by an exit that is gone is taken away.
    """
    changed = deepcopy(source)
    node = node_of(changed, node_id)
    before = exits_of(node)
    node["data"] = deepcopy(dict(data))
    after = exits_of(node)
    moves = {old: new for old, new in (renamed or {}).items() if old in before and new in after}
    for edge in _leaving(changed, node_id):
        old = _exit(edge)
        if old in moves:
            edge["sourceHandle"] = moves[old]
    gone = {one for one in before if one not in after}
    _drop(changed, lambda edge: edge.get("source") == node_id and _exit(edge) in gone)
    return changed


def delete(source: Source, node_id: str) -> Source:
    """Take a node away; what led to it leads on to where its first way out led.

    Raises ``CannotEdit`` for the start.
    """
    changed = deepcopy(source)
    node = node_of(changed, node_id)
    if node.get("type") == START:
        raise CannotEdit("The start stays: a drawing has exactly one.")
    onward = [target for _, target in ways_out(changed, node_id) if target not in (None, node_id)]
    arriving = [edge for edge in objects(changed, "edges") if edge.get("target") == node_id]
    changed["nodes"].remove(node)
    _drop(changed, lambda edge: node_id in (edge.get("source"), edge.get("target")))
    if onward and onward[0] is not None:
        for edge in arriving:
            one = (str(edge.get("source")), onward[0], _exit(edge))
            # What would lead back to itself at once, or twice to the same, leads nowhere.
            if one[0] not in (node_id, onward[0]) and _edge(changed, one) is None:
                _add_edge(changed, *one)
    return changed


def _type(kind: str) -> NodeType:
    found = node_types().get(kind)
    if found is None:
        raise CannotEdit(f"There is no node type {quoted(kind)}.")
    return found


def _exit(edge: Mapping[str, Any]) -> Exit:
    handle = edge.get("sourceHandle")
    return None if handle is None else str(handle)


def _leaving(source: Source, node_id: str) -> list[dict[str, Any]]:
    return [edge for edge in objects(source, "edges") if edge.get("source") == node_id]


def _edge(source: Source, one: tuple[str, str | None, Exit]) -> dict[str, Any] | None:
    for edge in objects(source, "edges"):
        if (edge.get("source"), edge.get("target"), _exit(edge)) == one:
            return edge
    return None


def _drop(source: Source, gone: Any) -> None:
    source["edges"] = [
        edge for edge in source["edges"] if not (isinstance(edge, dict) and gone(edge))
    ]


def _refuse_exit(node: Mapping[str, Any], exit_: Exit) -> None:
    exits = exits_of(node)
    if not exits:
        raise CannotEdit("Nothing can follow there.")
    if exit_ not in exits:
        raise CannotEdit("The node has no such way out any more.")


def _add_edge(source: Source, node_id: str, target: str, exit_: Exit) -> None:
    used = [str(edge.get("id")) for edge in objects(source, "edges")]
    edge = {"id": _unused(f"{node_id}-{target}", used), "source": node_id, "target": target}
    if exit_ is not None:
        edge["sourceHandle"] = exit_
    source["edges"].append(edge)


def _unused(wanted: str, used: Iterable[str]) -> str:
    taken = set(used)
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
