"""Fixtures of the concurrency tests."""

from __future__ import annotations

import pytest

from tests.concurrency.schedule import schedule_fixture  # noqa: F401  every module asks for it
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, form, save_line
from workflows.models import Workflow


@pytest.fixture
def free(scenario: Scenario) -> Workflow:
    """Return an active workflow without callers."""
    workflow: Workflow = WorkflowFactory(title="Free", entity_name_type=scenario.limitation)
    save_line(workflow, form())
    return workflow
