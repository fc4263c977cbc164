"""Refusals that no other test raises."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from executions.guards import TooManySelected
from executions.models import BulkKind, Execution
from executions.services import bulk
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory
from workflows.guards.database_errors import NotUnique, find_refusal
from workflows.models import FindingType

pytestmark = pytest.mark.django_db


@pytest.mark.both_databases
def test_violated_unique_key_is_reported_as_not_unique() -> None:
    stored = FindingTypeFactory()
    with pytest.raises(IntegrityError) as error, transaction.atomic():
        FindingType._base_manager.filter(pk=FindingTypeFactory().pk).update(cuid=stored.cuid)
    assert isinstance(find_refusal(error.value), NotUnique)


def test_bulk_operation_is_refused_when_too_many_executions_are_selected(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MAX_EXECUTIONS", 1)
    scenario.start()
    scenario.start()
    with pytest.raises(TooManySelected, match="at most 1"):
        bulk.create_operation(BulkKind.CANCEL, Execution.objects.all())
