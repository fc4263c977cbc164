"""Files of forms that are submitted, purged and uploaded at the same time, on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection, transaction

from executions import services
from executions.engine import file_answers
from executions.engine.forms import FormInvalid
from executions.guards import ExecutionEnded
from executions.models import Execution, FormFile
from tests.executions.assignees import start
from tests.executions.form_files import FIELDS, uploaded
from tests.factories import WorkflowFactory, form, save_line, user_in
from tests.test_concurrent_edits import TIMEOUT_SECONDS, OtherThread
from workflows.db import clock

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("invariants"),
    pytest.mark.postgresql,
]


@pytest.fixture
def ada(transactional_db: None) -> Any:
    return user_in("participant", username="ada")


@pytest.fixture
def execution(transactional_db: None) -> Execution:
    workflow = WorkflowFactory()
    save_line(workflow, form("form", *FIELDS))
    return start(workflow)


@pytest.fixture
def old_file(execution: Execution, ada: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file that was uploaded so long ago that the purge deletes it."""
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment - timedelta(days=8))
    cuid = uploaded(execution, ada)
    monkeypatch.setattr(clock, "now", lambda: moment)
    return cuid


def test_purge_leaves_a_file_that_is_submitted_meanwhile(
    execution: Execution, ada: Any, old_file: str
) -> None:
    purge = OtherThread(services.purge_files)
    with transaction.atomic():
        services.submit(execution, node="form", data={"report": old_file}, by=ada)
        purge.start()
        assert purge.is_waiting_for_lock()
    purge.join(TIMEOUT_SECONDS)
    assert purge.result == 0
    row = FormFile.objects.get(cuid=old_file)
    assert row.attached_at and default_storage.exists(row.key)


def test_submit_refuses_a_file_that_is_purged_meanwhile(
    execution: Execution, ada: Any, old_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = file_answers.find_files
    purged: list[int] = []

    def find_and_purge(*args: Any) -> dict[str, str]:
        found = find(*args)
        if not purged:
            purge = OtherThread(services.purge_files)
            purge.start()
            purge.join(TIMEOUT_SECONDS)
            purged.append(purge.result)
        return found

    monkeypatch.setattr(file_answers, "find_files", find_and_purge)
    with pytest.raises(FormInvalid) as caught:
        services.submit(execution, node="form", data={"report": old_file}, by=ada)
    assert purged == [1] and caught.value.problems[0].code == "unknown_file"


def test_two_submits_of_the_same_file_attach_it_once(execution: Execution, ada: Any) -> None:
    cuid = uploaded(execution, ada)

    def submit() -> Execution:
        return services.submit(execution, node="form", data={"report": cuid}, by=ada)

    threads = [OtherThread(submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    results = {type(thread.result) for thread in threads}
    assert results == {Execution, ExecutionEnded}
    assert FormFile.objects.get().attached_at


def test_files_are_attached_under_the_lock_of_the_step(
    execution: Execution, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach, cuid = file_answers.attach_files, uploaded(execution, ada)
    draft = OtherThread(lambda: services.save_draft(execution, node="form", data={}, by=ada))

    def attach_beside_a_draft(*args: Any) -> dict[str, Any]:
        draft.start()
        assert draft.is_waiting_for_lock()
        return attach(*args)

    monkeypatch.setattr(file_answers, "attach_files", attach_beside_a_draft)
    services.submit(execution, node="form", data={"report": cuid}, by=ada)
    draft.join(TIMEOUT_SECONDS)
    assert isinstance(draft.result, ExecutionEnded)


def test_upload_is_refused_and_deleted_when_the_execution_ends_meanwhile(
    execution: Execution, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = default_storage.save

    def cancel_and_save(*args: Any, **kwargs: Any) -> str:
        assert not connection.in_atomic_block
        services.cancel(execution)
        return str(save(*args, **kwargs))

    monkeypatch.setattr(default_storage, "save", cancel_and_save)
    with pytest.raises(ExecutionEnded):
        uploaded(execution, ada)
    assert default_storage.listdir(f"executions/{execution.cuid}")[1] == []
