"""What is running: entities, executions, their steps and pins."""

from executions.models.entity import Entity, Finding, InventoryModel
from executions.models.execution import LIVE, Execution, Status
from executions.models.job import Job, JobKind
from executions.models.pin import Pin
from executions.models.step import OPEN, Step, StepState
from executions.models.vote import Vote

__all__ = [
    "LIVE",
    "OPEN",
    "Entity",
    "Execution",
    "Finding",
    "InventoryModel",
    "Job",
    "JobKind",
    "Pin",
    "Status",
    "Step",
    "StepState",
    "Vote",
]
