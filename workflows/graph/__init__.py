"""What is drawn: the graph of a workflow, read and checked without a database."""

from workflows.graph.compatibility import EntityContext, NodesManager, incompatible
from workflows.graph.drawing import (
    RUN_WORKFLOW,
    START,
    START_TO_END,
    Edge,
    Graph,
    Node,
    calls_in,
)
from workflows.graph.node_types import COMMON_KEYS, NodeType, node_types, register
from workflows.graph.parsing import (
    MAX_EDGES,
    MAX_ID_LENGTH,
    MAX_NODES,
    MAX_PROBLEMS,
    WorkflowValidationError,
    parse,
)

__all__ = [
    "COMMON_KEYS",
    "MAX_EDGES",
    "MAX_ID_LENGTH",
    "MAX_NODES",
    "MAX_PROBLEMS",
    "RUN_WORKFLOW",
    "START",
    "START_TO_END",
    "Edge",
    "EntityContext",
    "Graph",
    "Node",
    "NodeType",
    "NodesManager",
    "WorkflowValidationError",
    "calls_in",
    "incompatible",
    "node_types",
    "parse",
    "register",
]
