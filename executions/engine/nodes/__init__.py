"""The node types that can run. Importing this package registers them with the graph.

Each module with a ``Behaviour`` is a node type: to add one, add a module.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from inspect import isabstract

from executions.engine.nodes.behaviour import Behaviour
from workflows.db.json_values import quoted
from workflows.graph import node_types, register

__all__ = ["Behaviour", "behaviour"]


def discover() -> None:
    """Register the node types of all modules in this package."""
    for found in pkgutil.iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{found.name}")).values():
            if isinstance(value, type) and issubclass(value, Behaviour) and not isabstract(value):
                register(value())


discover()

_NODE_TYPES = node_types()  # a view: types that are registered later appear in it


def behaviour(type_name: str) -> Behaviour:
    """Return the behaviour of a node type. Raise ``LookupError`` if it has none."""
    node_type = _NODE_TYPES.get(type_name)
    if node_type is None or not isinstance(node_type, Behaviour):
        raise LookupError(f"The node type {quoted(type_name)} has no behaviour.")
    return node_type
