"""The node types that can run. Importing this package makes them known to the graph.

Each module here that has a ``Behaviour`` is a node type: adding one is adding a module.
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
    """Register the node types of all modules here; those that are known stay as they are."""
    for found in pkgutil.iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{found.name}")).values():
            if isinstance(value, type) and issubclass(value, Behaviour) and not isabstract(value):
                register(value())


discover()


def behaviour(type_name: str) -> Behaviour:
    """Return what makes nodes of this type run (LookupError if nothing does)."""
    node_type = node_types().get(type_name)
    if node_type is None or not isinstance(node_type, Behaviour):
        raise LookupError(f"No behaviour is known for the node type {quoted(type_name)}.")
    return node_type
