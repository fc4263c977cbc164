"""The graph of a workflow, parsed and checked without a database."""

from workflows.graph.compatibility import EntityContext, NodesManager, incompatibility_message
from workflows.graph.graph import (
    RUN_WORKFLOW,
    START,
    START_TO_END,
    Edge,
    Graph,
    Node,
    find_calls,
    find_reachable,
)
from workflows.graph.node_types import (
    COMMON_KEYS,
    NodeType,
    Problems,
    find_data_problems,
    node_types,
    register,
)
from workflows.graph.parsing import (
    MAX_EDGES,
    MAX_ID_LENGTH,
    MAX_NODES,
    MAX_PROBLEMS,
    WorkflowValidationError,
    normalize,
    parse,
)
from workflows.graph.schema_messages import describe_types
from workflows.graph.schemas import NOT_BLANK, Schema

__all__ = [
    "COMMON_KEYS",
    "MAX_EDGES",
    "MAX_ID_LENGTH",
    "MAX_NODES",
    "MAX_PROBLEMS",
    "NOT_BLANK",
    "RUN_WORKFLOW",
    "START",
    "START_TO_END",
    "Edge",
    "EntityContext",
    "Graph",
    "Node",
    "NodeType",
    "NodesManager",
    "Problems",
    "Schema",
    "WorkflowValidationError",
    "describe_types",
    "find_calls",
    "find_data_problems",
    "find_reachable",
    "incompatibility_message",
    "node_types",
    "normalize",
    "parse",
    "register",
]
