"""What is drawn: the graph of a workflow, read and checked without a database."""

from workflows.graph.compatibility import EntityContext, NodesManager, incompatible
from workflows.graph.graph import (
    RUN_WORKFLOW,
    START,
    START_TO_END,
    Edge,
    Graph,
    Node,
    calls_in,
    reach,
)
from workflows.graph.node_types import (
    COMMON_KEYS,
    NodeType,
    Problems,
    data_problems,
    node_types,
    register,
)
from workflows.graph.parsing import (
    MAX_EDGES,
    MAX_ID_LENGTH,
    MAX_NODES,
    MAX_PROBLEMS,
    WorkflowValidationError,
    normalized,
    parse,
)
from workflows.graph.schema_messages import type_words
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
    "calls_in",
    "data_problems",
    "incompatible",
    "node_types",
    "normalized",
    "parse",
    "reach",
    "register",
    "type_words",
]
