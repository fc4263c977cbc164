"""Files of forms: uploaded, submitted, read by those who may, and deleted with their execution."""

from __future__ import annotations

import base64
import hashlib
import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from executions import services
from executions.engine import rule_literals
from executions.engine.file_limits import clean_name
from executions.integrity import check_files
from executions.models import Execution, FormFile, UnusedObject
from executions.services import stored_objects, uploading
from executions.services.purging import Purged, purge
from executions.services.stored_objects import StorageUnavailable, delete_unused_objects
from tests.executions.assignees import log_in, start
from tests.executions.form_files import (
    CONTENT,
    FIELDS,
    a_file,
    content_of,
    send,
    start_with_files,
    submit,
    uploaded,
    url_of,
)
from tests.factories import UserFactory, WorkflowFactory, form, line, save_line, user_in
from tests.workflows.api.clients import Client, assert_problem
from workflows import editing
from workflows.db import clock
from workflows.graph import find_data_problems, node_types
from workflows.models import AuditEntry

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]


@pytest.fixture
def ada() -> Any:
    return user_in("participant", username="ada", is_staff=True)


@pytest.fixture
def execution() -> Execution:
    return start_with_files()


class TestUpload:
    def test_upload_answers_with_the_id_and_the_checksum(
        self, execution: Execution, ada: Any
    ) -> None:
        answer = send(execution, ada)
        assert answer.status_code == 201, answer.content
        body = answer.json()
        assert body["sha256"] == hashlib.sha256(CONTENT).hexdigest()
        assert (body["name"], body["size"]) == ("report.pdf", len(CONTENT))
        assert (body["uploaded_by"], body["attached_at"]) == ("ada", None)
        assert answer["Location"].endswith(f"/{url_of(execution, body['cuid'])}")
        entry = AuditEntry.objects.get(action="uploaded")
        assert entry.after["file"] == body["cuid"] and entry.after["sha256"] == body["sha256"]
        assert not UnusedObject.objects.exists()

    @pytest.mark.parametrize(
        ("sent", "status", "code", "pointer"),
        [
            ({"file": a_file("report.exe")}, 400, "invalid_upload", "/file"),
            ({"file": a_file("x.pdf", b"x" * 101)}, 413, "file_too_large", "/file"),
            ({"file": a_file("x.pdf", b"")}, 400, "invalid_upload", "/file"),
            ({"file": "text"}, 400, "invalid", "/file"),
            ({"field": "nothing"}, 400, "invalid_upload", "/field"),
            ({"color": "red"}, 400, "unknown_field", "/color"),
            ({"node": "after"}, 409, "not_open", ""),
            ({"file": [a_file(), a_file()]}, 400, "invalid", "/file"),
        ],
    )
    def test_wrong_upload_is_refused_and_stores_nothing(
        self,
        execution: Execution,
        ada: Any,
        sent: dict[str, Any],
        status: int,
        code: str,
        pointer: str,
    ) -> None:
        for one in sent.values():
            if hasattr(one, "seek"):
                one.seek(0)
        body = assert_problem(send(execution, ada, **sent), status, code)
        assert body["errors"][0]["pointer"] == pointer
        assert not FormFile.objects.exists() and not UnusedObject.objects.exists()

    def test_refusal_names_the_limit(self, execution: Execution, ada: Any) -> None:
        answer = send(execution, ada, file=a_file("x.pdf", b"x" * 101))
        assert "At most 100 bytes" in answer.json()["detail"]

    def test_setting_limits_every_file(self, execution: Execution, ada: Any, settings: Any) -> None:
        settings.FILE_MAX_BYTES = 10
        assert_problem(send(execution, ada, "more"), 413, "file_too_large")

    def test_request_with_too_large_body_is_refused_before_it_is_read(
        self, execution: Execution, ada: Any, settings: Any
    ) -> None:
        settings.FILE_MAX_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        body = assert_problem(send(execution, ada), 413, "too_large")
        assert "10 bytes" in body["detail"]

    def test_dry_run_stores_nothing(self, execution: Execution, ada: Any) -> None:
        body = {"file": a_file(), "field": "report", "node": "form"}
        answer = log_in(ada).post(f"{url_of(execution)}?dry_run=true", body, format="multipart")
        assert answer.status_code == 200 and answer["Dry-Run"] == "true"
        assert not FormFile.objects.exists() and not UnusedObject.objects.exists()
        assert (
            not default_storage.exists(f"executions/{execution.cuid}")
            or not (default_storage.listdir(f"executions/{execution.cuid}")[1])
        )

    def test_repeated_upload_with_the_same_key_is_stored_once(
        self, execution: Execution, ada: Any
    ) -> None:
        def post(content: bytes = CONTENT) -> Any:
            body = {"file": a_file(content=content), "field": "report", "node": "form"}
            headers = {"Idempotency-Key": "k1"}
            return log_in(ada).post(url_of(execution), body, format="multipart", headers=headers)

        first, second = post(), post()
        assert first.json() == second.json() and second["Idempotency-Replayed"] == "true"
        assert_problem(post(b"other"), 422, "idempotency_key_reused")
        assert FormFile.objects.count() == 1 and not UnusedObject.objects.exists()

    def test_upload_needs_the_right_to_do_the_step(self, execution: Execution) -> None:
        assert_problem(send(execution, user_in("viewer")), 403, "permission_denied")
        workflow = WorkflowFactory()
        UserFactory(username="grace")
        save_line(workflow, form("form", *FIELDS, assignees={"users": ["grace"]}))
        answer = send(start(workflow), user_in("participant"))
        assert_problem(answer, 403, "not_assigned")

    def test_json_is_refused_with_the_media_type(self, execution: Execution, ada: Any) -> None:
        answer = log_in(ada).post(url_of(execution), {"field": "report"})
        body = assert_problem(answer, 415, "unsupported_media_type")
        assert "multipart/form-data" in body["detail"]

    def test_file_is_deleted_from_the_storage_when_its_row_cannot_be_written(
        self, execution: Execution, ada: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uploading, "make_attempt", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            uploaded(execution, ada)
        assert not FormFile.objects.exists() and not UnusedObject.objects.exists()
        assert default_storage.listdir(f"executions/{execution.cuid}")[1] == []

    def test_storage_failure_is_a_refusal(
        self, execution: Execution, ada: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> str:
            raise OSError("No space left on device")

        monkeypatch.setattr(default_storage, "save", fail)
        assert_problem(send(execution, ada), 503, "storage_unavailable")
        assert StorageUnavailable.code == "storage_unavailable"


class TestSubmit:
    def test_submit_writes_the_references(self, execution: Execution, ada: Any) -> None:
        one = uploaded(execution, ada)
        two = [uploaded(execution, ada, "more", name) for name in ("b.txt", "c.txt")]
        assert submit(execution, ada, report=one, more=two).status_code == 200
        execution.refresh_from_db()
        reference = execution.entity.fields["report"]
        assert reference == {
            "id": one,
            "name": "a.pdf",
            "size": len(CONTENT),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
        }
        assert [row["id"] for row in execution.variables["more"]] == two
        assert execution.steps.get(node_id="form").output["report"] == reference
        assert not FormFile.objects.filter(attached_at=None).exists()

    @pytest.mark.parametrize("value", ["nothing", "\x00", "other execution", "other field"])
    def test_wrong_id_is_refused(self, execution: Execution, ada: Any, value: str) -> None:
        if value == "other execution":
            value = uploaded(start(execution.workflow), ada)
        elif value == "other field":
            value = uploaded(execution, ada, "more")
        body = assert_problem(submit(execution, ada, report=value), 400, "invalid_form")
        assert [row["pointer"] for row in body["errors"]] == ["/data/report"]

    def test_file_of_another_user_and_submitted_file_are_refused(
        self, execution: Execution, ada: Any
    ) -> None:
        other = uploaded(execution, user_in("participant"))
        assert_problem(submit(execution, ada, report=other), 400, "invalid_form")
        own = uploaded(execution, ada)
        submit(execution, ada, report=own)
        answer = log_in(ada).post(
            f"executions/{execution.cuid}/submit/", {"node": "after", "data": {"report": own}}
        )
        assert answer.json()["errors"][0]["code"] == "unknown_file"

    @pytest.mark.parametrize(
        "data",
        [{"report": ["x"]}, {"report": "x", "more": "x"}, {"report": "x", "more": ["y", "y"]}],
    )
    def test_answer_of_wrong_shape_is_refused(
        self, execution: Execution, ada: Any, data: dict[str, Any]
    ) -> None:
        assert_problem(submit(execution, ada, **data), 400, "invalid_form")

    def test_required_file_is_missing_without_id(self, execution: Execution, ada: Any) -> None:
        body = assert_problem(submit(execution, ada, more=[]), 400, "invalid_form")
        assert body["errors"][0]["code"] == "required"

    def test_draft_holds_ids_until_the_submit(self, execution: Execution, ada: Any) -> None:
        one = uploaded(execution, ada)
        url = f"executions/{execution.cuid}/draft/"
        log_in(ada).post(url, {"node": "form", "data": {"report": one}})
        later = clock.now() + timedelta(days=8)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clock, "now", lambda: later)
            assert services.purge_files() == 0
        assert submit(execution, ada, report=one).status_code == 200


class TestDownload:
    def test_submitted_file_is_an_attachment_for_readers(
        self, execution: Execution, ada: Any
    ) -> None:
        name = "Übersicht “Q3”.pdf"
        one = uploaded(execution, ada, name=name)
        submit(execution, ada, report=one)
        answer = log_in(user_in("viewer")).get(url_of(execution, one, "content"))
        assert content_of(answer) == CONTENT
        assert answer["Content-Disposition"].startswith("attachment; filename*=utf-8''%C3%9C")
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Type"] == "application/octet-stream"
        assert "sandbox" in answer["Content-Security-Policy"]
        assert "default-src 'none'" in answer["Content-Security-Policy"]

    def test_file_is_listed_for_readers_when_it_is_submitted(
        self, execution: Execution, ada: Any
    ) -> None:
        one, viewer = uploaded(execution, ada), log_in(user_in("viewer"))
        uploaded(execution, ada, "more")
        assert viewer.get(url_of(execution)).json()["results"] == []
        assert_problem(viewer.get(url_of(execution, one, "content")), 404, "not_found")
        assert len(log_in(ada).get(url_of(execution)).json()["results"]) == 2
        submit(execution, ada, report=one)
        (row,) = viewer.get(url_of(execution)).json()["results"]
        assert row["cuid"] == one and row["attached_at"]

    def test_file_is_hidden_without_permission_to_read_steps(
        self, execution: Execution, ada: Any
    ) -> None:
        one = uploaded(execution, ada)
        submit(execution, ada, report=one)
        nobody = user_in("viewer")
        nobody.groups.clear()
        for more in ((), (one,), (one, "content")):
            assert_problem(log_in(nobody).get(url_of(execution, *more)), 403, "permission_denied")
        other = start(execution.workflow)
        assert_problem(log_in(ada).get(url_of(other, one, "content")), 404, "not_found")

    def test_missing_content_is_reported(self, execution: Execution, ada: Any) -> None:
        one = uploaded(execution, ada)
        default_storage.delete(FormFile.objects.get().key)
        answer = log_in(ada).get(url_of(execution, one, "content"))
        assert_problem(answer, 404, "file_missing")


class TestRows:
    def test_file_is_written_once(self, execution: Execution, ada: Any) -> None:
        submit(execution, ada, report=uploaded(execution, ada))
        row = FormFile.objects.get()
        row.sha256 = "0" * 64
        for change in (row.save, lambda: FormFile.objects.update(name="x"), row.delete):
            with pytest.raises(ValidationError), transaction.atomic():
                change()
        for values in ({"sha256": "0"}, {"attached_at": None}, {"key": "x"}):
            with pytest.raises(IntegrityError), transaction.atomic():
                FormFile._base_manager.filter(pk=row.pk).update(**values)

    def test_purge_deletes_files_with_their_execution(self, execution: Execution, ada: Any) -> None:
        submit(execution, ada, report=uploaded(execution, ada))
        key = FormFile.objects.get().key
        services.cancel(execution)
        done = Purged()
        list(purge(timezone.now() + timedelta(seconds=1), done=done, rest=0))
        assert done.rows["file"] == 1 and not FormFile.objects.exists()
        assert not default_storage.exists(key) and not UnusedObject.objects.exists()

    def test_deleted_execution_leaves_its_objects_to_be_deleted(
        self, execution: Execution, ada: Any
    ) -> None:
        submit(execution, ada, report=uploaded(execution, ada))
        key = FormFile.objects.get().key
        services.cancel(execution)
        execution.refresh_from_db()
        execution.delete()
        assert default_storage.exists(key)
        assert delete_unused_objects() == 1 and not default_storage.exists(key)

    def test_object_stays_due_while_the_storage_fails(
        self, ada: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        UnusedObject.objects.create(key="k", due_at=clock.now())

        def fail(*_: Any) -> None:
            raise OSError("away")

        with monkeypatch.context() as patch:
            patch.setattr(default_storage, "delete", fail)
            assert delete_unused_objects() == 0
        assert delete_unused_objects() == 1

    def test_unsubmitted_file_is_purged_after_a_week(
        self, execution: Execution, ada: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        uploaded(execution, ada)
        submitted = uploaded(execution, ada)
        submit(execution, ada, report=submitted)
        moment = clock.now()
        for days, left in ((6, 2), (8, 1)):
            monkeypatch.setattr(clock, "now", lambda days=days: moment + timedelta(days=days))
            services.purge_files()
            assert FormFile.objects.count() == left
        assert FormFile.objects.get().cuid == submitted
        assert AuditEntry.objects.get(action="deleted", kind="file").after == {}
        assert len(default_storage.listdir(f"executions/{execution.cuid}")[1]) == 1

    def test_name_of_deleted_uploader_stays(self, execution: Execution, ada: Any) -> None:
        submit(execution, ada, report=uploaded(execution, ada))
        ada.delete()
        (row,) = log_in(user_in("viewer")).get(url_of(execution)).json()["results"]
        assert row["uploaded_by"] == "ada"
        assert timedelta(days=7) == stored_objects.RETENTION


def test_check_finds_missing_and_changed_contents(execution: Execution, ada: Any) -> None:
    missing, changed = uploaded(execution, ada), uploaded(execution, ada)
    uploaded(execution, ada)
    assert list(check_files()) == []
    default_storage.delete(FormFile.objects.get(cuid=missing).key)
    key = FormFile.objects.get(cuid=changed).key
    default_storage.delete(key)
    default_storage.save(key, ContentFile(b"other"))
    found = {row.cuid: row for row in check_files()}
    assert set(found) == {missing, changed}
    assert "missing" in found[missing].detail and "checksum" in found[changed].detail
    assert "backup" in found[changed].remedy
    with pytest.raises(CommandError, match="2 violations"):
        call_command("check_integrity", files=True, stdout=io.StringIO())
    call_command("check_integrity", stdout=io.StringIO())


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.pdf", "a.pdf"),
        ("a\x00\x1b\n.pdf", "a.pdf"),
        ("gpj.\u202eexe.pdf", "gpj.exe.pdf"),
        ("Cafe\u0301.pdf", "Café.pdf"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
        ("x" * 300, "x" * 255),
        (" a.pdf ", "a.pdf"),
    ],
)
def test_name_of_a_file_has_no_folders_and_control_characters(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned


def test_page_of_another_site_cannot_send_files(execution: Execution) -> None:
    user_in("participant", username="bob", password="secret")
    credentials = base64.b64encode(b"bob:secret").decode()
    body = {"file": a_file(), "field": "report", "node": "form"}
    headers = {"Authorization": f"Basic {credentials}"}
    for origin, status in (("https://evil.example", 403), ("http://testserver", 201)):
        body["file"] = a_file()
        answer = Client().post(
            url_of(execution), body, format="multipart", headers={**headers, "Origin": origin}
        )
        assert answer.status_code == status, answer.content


def test_rules_see_whether_there_is_a_file(ada: Any) -> None:
    branches = [{"handle": "yes", "rule": {"field": "report", "op": "exists"}}]
    source = line(form("form", {"name": "report", "type": "file"}))
    source["nodes"] += [
        {"id": "check", "type": "condition", "data": {"branches": branches}},
        {"id": "no", "type": "fail"},
    ]
    source["edges"][-1]["target"] = "check"
    source["edges"] += [
        {"source": "check", "target": "end", "sourceHandle": "yes"},
        {"source": "check", "target": "no", "sourceHandle": "default"},
    ]
    workflow = WorkflowFactory()
    editing.save_graph(workflow, source, based_on=1)
    for has_file, status in ((True, "completed"), (False, "failed")):
        execution = start(workflow)
        data = {"report": uploaded(execution, ada)} if has_file else {}
        assert submit(execution, ada, **data).json()["status"] == status


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ([{"name": "a", "multiple": True}], "/fields/0/multiple"),
        ([{"name": "a", "type": "text", "max_size": 1}], "/fields/0/max_size"),
        ([{"name": "a", "type": "file", "accept": ["pdf"]}], "/fields/0/accept/0"),
        ([{"name": "a", "type": "file", "accept": []}], "/fields/0/accept"),
        ([{"name": "a", "type": "file", "max_size": 0}], "/fields/0/max_size"),
    ],
)
def test_wrong_option_of_a_file_field_is_reported(
    fields: list[dict[str, Any]], pointer: str
) -> None:
    found = find_data_problems(node_types()["user_action"], {"fields": fields})
    assert [at for at, _ in found] == [pointer]


def test_comparison_with_a_file_is_refused_when_the_graph_is_saved() -> None:
    types = {"report": ["file"]}
    for op in ("gt", "contains", "eq"):
        rule = {"field": "report", "op": op, "value": "x"}
        assert [at for at, _ in rule_literals.problems(rule, types)] == ["/value"]


def test_move_keeps_uploaded_files(execution: Execution, ada: Any) -> None:
    one = uploaded(execution, ada)
    save_line(execution.workflow, form("form", *FIELDS), form("other"))
    services.move(execution, why="w")
    assert submit(execution, ada, report=one).status_code == 200
