"""The actions of actors in most schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction

from executions import services as running
from executions.models import Execution
from tests.concurrency.schedule import here
from tests.conftest import Scenario
from workflows import editing
from workflows.models import Workflow


def submit(execution: Execution, node: str = "form", **data: str) -> Execution:
    return running.submit(execution, node=node, data=data or {"note": "n"})


def change(scenario: Scenario, *workflows: Workflow) -> Any:
    """Change the finding type of these workflows together."""
    return editing.change_entity_context(workflows, entity_name_type=scenario.exception)


def pause_before_commit(work: Callable[[], Any]) -> Callable[[], Any]:
    """Return the work in a transaction that pauses before its commit."""

    def within() -> Any:
        with transaction.atomic():
            value = work()
            here()
            return value

    return within
