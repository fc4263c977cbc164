"""The mapping of a move: where the open steps of each node continue.

A key is the id of a node of the root's workflow, or ``<cuid>/<node id>`` for a node of a workflow
that it calls. A value is the id of the new node, or ``{"node": …, "restart_step": true}``: then the
step is closed, and the new node is entered again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from workflows.db.json_values import below, quoted
from workflows.graph import Graph
from workflows.refusals import Problem

CODE = "invalid_mapping"
RESTART = "restart_step"


@dataclass(frozen=True, slots=True)
class Target:
    """The node at which a step continues, or which it enters again (``restart``)."""

    node_id: str
    restart: bool = False

    @property
    def value(self) -> str | dict[str, Any]:
        """The target as it is written in a mapping."""
        return {"node": self.node_id, RESTART: True} if self.restart else self.node_id


Targets = dict[tuple[str, str], Target]
"""Targets by the cuid of the workflow and the id of the old node."""


def find_mapping_problems(mapping: Any) -> Iterator[Problem]:
    """Yield the problems of a mapping that need no graph."""
    if not isinstance(mapping, Mapping):
        yield Problem("/mapping", CODE, gettext("The mapping must be an object."))
        return
    for key, value in mapping.items():
        pointer = below("/mapping", key)
        if isinstance(value, str):
            continue
        if not isinstance(value, Mapping):
            detail = gettext("Name the new node of {node}.").format(node=quoted(key))
            yield Problem(pointer, CODE, detail)
            continue
        unknown = sorted(set(map(str, value)) - {"node", RESTART})
        if unknown:
            detail = gettext("Unknown key {key}. Allowed: node, restart_step.")
            yield Problem(pointer, CODE, detail.format(key=quoted(unknown[0])))
        if not isinstance(value.get("node"), str):
            detail = gettext("Name the new node of {node}.").format(node=quoted(key))
            yield Problem(below(pointer, "node"), CODE, detail)
        if not isinstance(value.get(RESTART, False), bool):
            detail = gettext("restart_step must be true or false.")
            yield Problem(below(pointer, RESTART), CODE, detail)


def read_mapping(mapping: Mapping[str, Any], root: str, workflows: Iterable[str]) -> Targets:
    """Return the targets of a mapping without problems.

    Args:
        root: the cuid of the root's workflow.
        workflows: the cuids of all workflows in the tree.
    """
    known = set(workflows)
    found: Targets = {}
    for key, value in mapping.items():
        workflow, _, node = key.partition("/")
        place = (workflow, node) if node and workflow in known else (root, key)
        found[place] = (
            Target(value)
            if isinstance(value, str)
            else Target(value["node"], bool(value.get(RESTART, False)))
        )
    return found


def mapping_key(workflow: str, node_id: str, root: str) -> str:
    """Return the key of a node in a mapping."""
    return node_id if workflow == root else f"{workflow}/{node_id}"


def restrict_mapping(mapping: Mapping[str, Any], graph: Graph) -> dict[str, Any]:
    """Return the entries for nodes of this graph of the root, and those for other workflows."""
    return {key: value for key, value in mapping.items() if key in graph.nodes or "/" in key}
