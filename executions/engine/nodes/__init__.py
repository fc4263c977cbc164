"""The node types that can run. Importing this package makes them known to the graph."""

from __future__ import annotations

from executions.engine.nodes.approval import Approval
from executions.engine.nodes.behaviour import Behaviour
from executions.engine.nodes.condition import Condition
from executions.engine.nodes.end import End
from executions.engine.nodes.fail import Fail
from executions.engine.nodes.http_request import HttpRequest
from executions.engine.nodes.join import Join
from executions.engine.nodes.notify import Notify
from executions.engine.nodes.parallel import Parallel
from executions.engine.nodes.run_workflow import RunWorkflow
from executions.engine.nodes.set_field import SetField
from executions.engine.nodes.set_state import SetState
from executions.engine.nodes.start import Start
from executions.engine.nodes.user_action import UserAction
from executions.engine.nodes.wait import Wait
from executions.engine.nodes.webhook import Webhook
from workflows.graph import node_types, register
from workflows.jsontext import quoted

__all__ = ["Behaviour", "behaviour"]

_BEHAVIOURS: tuple[type[Behaviour], ...] = (
    Start,
    UserAction,
    Condition,
    SetField,
    SetState,
    Approval,
    Wait,
    Parallel,
    Join,
    RunWorkflow,
    HttpRequest,
    Notify,
    Webhook,
    End,
    Fail,
)

for _behaviour in _BEHAVIOURS:
    register(_behaviour())


def behaviour(type_name: str) -> Behaviour:
    """Return what makes nodes of this type run (LookupError if nothing does)."""
    node_type = node_types().get(type_name)
    if node_type is None or not isinstance(node_type, Behaviour):
        raise LookupError(f"No behaviour is known for the node type {quoted(type_name)}.")
    return node_type
