"""Skipping the rest of a wait."""

from __future__ import annotations

from typing import Unpack

from executions.engine.node_visit import NodeVisit
from executions.models import Execution
from executions.services.decisions import StepDecision, decide, refuse_incident
from workflows.audit.log import Action


def wake(execution: Execution, **decision: Unpack[StepDecision]) -> Execution:
    """End a wait, or the wait for a scheduled start, before its time.

    Raises:
        guards.NotOpen, guards.ExecutionEnded: as ``decide``.
        guards.NoIncident: the step has an incident.
        behaviour.NotAwaited: the step is no wait.
    """
    return decide(execution, Action.WOKEN, _wake, **decision)


def _wake(visit: NodeVisit) -> None:
    refuse_incident(visit.step)
    visit.behaviour.wake(visit)
