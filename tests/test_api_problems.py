"""Errors of the API: each response is a problem (RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, OperationalError, transaction
from django.db.models import ProtectedError

from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, WorkflowFactory, call, save_line
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows import guards
from workflows.db import locks
from workflows.models import FindingType, Workflow
from workflows.refusals import Problem

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(db: None) -> Client:
    return client_of(superuser=True)


def test_broken_json_is_refused(api: Client) -> None:
    for text, says in (("{", "line 1"), ("[" * 100_000, "deeply"), (b"\xff", "decode")):
        response = api.post("workflows/", text, content_type="application/json")
        body = assert_problem(response, 400, "parse_error")
        assert says in body["detail"]


def test_body_must_be_object(api: Client) -> None:
    for text in ("[]", "3", '"x"', "null"):
        response = api.post("workflows/", text, content_type="application/json")
        assert response.status_code == 400, text
        assert response["Content-Type"] == "application/problem+json"


def test_large_body_is_refused(api: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 60
    response = api.post("finding-types/", {"name": "x", "description": "y" * 60})
    body = assert_problem(response, 413, "too_large")
    assert "60 bytes" in body["detail"]
    assert api.post("finding-types/", {"name": "x"}).status_code == 201


def test_other_media_type_is_refused(api: Client) -> None:
    response = api.post("workflows/", "<x/>", content_type="application/xml")
    assert_problem(response, 415, "unsupported_media_type")
    response = api.get("workflows/", headers={"Accept": "application/xml"})
    assert_problem(response, 406, "not_acceptable")


def test_other_method_is_refused(api: Client) -> None:
    body = assert_problem(api.delete("workflows/"), 405, "method_not_allowed")
    assert "DELETE" in body["detail"]
    for path in ("workflows/change-entity-context/", f"executions/{'x'}/submit/"):
        assert_problem(api.get(path), 405, "method_not_allowed")


def test_missing_object_is_not_found(api: Client) -> None:
    for path in ("moon/", "/api/", "/api/v2/workflows/"):
        body = assert_problem(api.get(path), 404, "not_found")
        assert path.strip("/") in body["detail"]
    # Without a token, as a script sends it.
    script = Client(enforce_csrf_checks=True)
    body = assert_problem(script.post("workflows", {}), 404, "not_found")
    assert "end with a slash" in body["detail"]
    assert api.get("/moon/")["Content-Type"].startswith("text/html")
    body = assert_problem(api.get("workflows/nothing/"), 404, "not_found")
    assert body["detail"] == "No workflow has the cuid 'nothing'."


def raising(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def save(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(FindingType, "save", save)


def caused(error: DatabaseError, code: str) -> DatabaseError:
    cause: Any = Exception()
    cause.pgcode = code
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "make",
    [
        lambda: locks.Contention(),
        lambda: OperationalError("database is locked"),
        lambda: caused(OperationalError("deadlock detected"), "40P01"),
        lambda: caused(OperationalError("lock timeout"), "55P03"),
        lambda: locks.TryAgain(),
    ],
)
@pytest.mark.both_databases
def test_contention_is_conflict_with_retry_after(
    api: Client, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Exception]
) -> None:
    raising(monkeypatch, make())
    monkeypatch.setattr("time.sleep", lambda _: None)
    response = api.post("finding-types/", {"name": "x"})
    assert_problem(response, 409, "contention")
    assert response["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (IntegrityError("FOREIGN KEY constraint failed"), "database_refused"),
        (IntegrityError("CHECK constraint failed: workflows_workflow_shape"), "context_shape"),
        (ProtectedError("protected", set()), "database_refused"),
    ],
)
@pytest.mark.both_databases
def test_rejection_by_database_is_conflict(
    api: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    raising(monkeypatch, error)
    body = assert_problem(api.post("finding-types/", {"name": "x"}), 400, code)
    assert body["blockers"] == {"executions": [], "workflows": [], "total": 0}
    assert body["remedies"] == []


@pytest.mark.parametrize("error", [IntegrityError("something else"), RuntimeError("secret")])
def test_error_is_hidden_from_client(
    api: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    raising(monkeypatch, error)
    api.raise_request_exception = False
    response = api.post("finding-types/", {"name": "x"})
    body = assert_problem(response, 500, "server_error")
    assert "secret" not in str(body)


def test_validation_errors_of_models_have_pointers(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = guards.TypeInUse("In use.", problems=[Problem("/name", "type_in_use", "By this.")])
    for error, code, errors in (
        (ValidationError("No.", code="odd"), "odd", [("", "odd", "No.")]),
        (
            ValidationError(["No.", "Nor."]),
            "invalid",
            [("", "invalid", "No."), ("", "invalid", "Nor.")],
        ),
        (
            ValidationError(
                {"name": ValidationError("Not %(it)s.", params={"it": "so"}), "x": ["Y."]}
            ),
            "invalid",
            [("/name", "invalid", "Not so."), ("/x", "invalid", "Y.")],
        ),
        (ValidationError({"__all__": ["All."]}), "invalid", [("", "invalid", "All.")]),
        (
            ValidationError({"x": ["Y."], "name": guards.TypeInUse("In use.")}),
            "type_in_use",
            [("/x", "invalid", "Y."), ("/name", "type_in_use", "In use.")],
        ),
        (
            ValidationError({"other": refusal}),
            "type_in_use",
            [("/name", "type_in_use", "By this.")],
        ),
    ):
        raising(monkeypatch, error)
        body = assert_problem(api.post("finding-types/", {"name": "x"}), 400, code)
        found = [(row["pointer"], row["code"], row["detail"]) for row in body["errors"]]
        assert found == errors


def test_refusal_of_a_field_is_complete(
    api: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = scenario.start()

    def save(workflow: Workflow, *args: Any, **kwargs: Any) -> None:
        workflow.clean()

    monkeypatch.setattr(Workflow, "save", save)
    response = api.edit(
        f"workflows/{scenario.caller.cuid}/", entity_name_type=scenario.exception.cuid
    )
    body = assert_problem(response, 400, "active_executions")
    assert body["detail"] == guards.ActiveExecutions.message
    assert [row["cuid"] for row in body["blockers"]["executions"]] == [execution.cuid]
    assert body["remedies"][0]["code"] == "finish_or_cancel"


def test_list_of_blockers_is_cut(api: Client, scenario: Scenario) -> None:
    for _ in range(guards.LISTED + 2):
        scenario.start()
    response = api.edit(
        f"workflows/{scenario.caller.cuid}/", entity_name_type=scenario.exception.cuid
    )
    blockers = assert_problem(response, 400, "active_executions")["blockers"]
    assert len(blockers["executions"]) == guards.LISTED
    # The callee, which is not part of the change, is one more blocker.
    assert blockers["total"] == guards.LISTED + 3


def test_list_of_callers_is_cut(api: Client, scenario: Scenario) -> None:
    for caller in WorkflowFactory.create_batch(
        guards.LISTED + 1, entity_name_type=scenario.limitation
    ):
        save_line(caller, call(scenario.callee))
    response = api.edit(f"workflows/{scenario.callee.cuid}/", state="retired")
    blockers = assert_problem(response, 400, "referenced")["blockers"]
    assert (len(blockers["workflows"]), blockers["total"]) == (guards.LISTED, guards.LISTED + 2)


@pytest.mark.both_databases
def test_failed_request_writes_nothing(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = WorkflowFactory(title="Before")
    save = Workflow.save

    def failing(row: Workflow, *args: Any, **kwargs: Any) -> None:
        save(row, *args, **kwargs)
        assert transaction.get_connection().in_atomic_block
        raise guards.UseTheService

    monkeypatch.setattr(Workflow, "save", failing)
    assert_problem(api.edit(f"workflows/{workflow.cuid}/", title="x"), 400, "use_the_service")
    workflow.refresh_from_db()
    assert workflow.title == "Before"


# Permissions


READ = (
    "webhooks",
    *("workflows", "executions", "findings", "inventory-models", "finding-types", "record-types"),
    *("pending-changes", "audit", "tasks"),
)


def test_request_needs_credentials(scenario: Scenario) -> None:
    nobody = Client()
    execution = scenario.start()
    for path in (
        *(f"{route}/" for route in READ),
        "",
        "schema/",
        "docs/",
        f"workflows/{scenario.caller.cuid}/",
        f"workflows/{scenario.caller.cuid}/1/",
        f"executions/{execution.cuid}/steps/",
    ):
        for method in (nobody.get, nobody.options):
            response = method(path)
            assert_problem(response, 401, "not_authenticated")
            assert response["WWW-Authenticate"].startswith("Basic")
    for path in ("workflows/", "executions/", f"executions/{execution.cuid}/cancel/"):
        assert_problem(nobody.post(path, {}), 401, "not_authenticated")
    response = nobody.get("workflows/", headers={"Authorization": "Basic eDp5"})
    assert_problem(response, 401, "authentication_failed")


def test_viewer_may_read_and_not_write(scenario: Scenario) -> None:
    viewer = client_of(
        "workflows.view_workflow",
        "workflows.view_version",
        "workflows.view_findingtype",
        "executions.view_execution",
        "executions.view_step",
    )
    execution = scenario.start()
    workflow = f"workflows/{scenario.caller.cuid}/"
    for path in (
        "workflows/",
        workflow,
        f"{workflow}1/",
        f"{workflow}versions/",
        f"{workflow}dependencies/",
        "executions/",
        f"executions/{execution.cuid}/steps/",
        "",
        "schema/",
    ):
        assert viewer.get(path).status_code == 200, path
        assert viewer.options(path).status_code == 200, path
    for path in ("findings/", "record-types/"):
        assert_problem(viewer.get(path), 403, "permission_denied")
    for method, path in (
        (viewer.post, "workflows/"),
        (viewer.patch, workflow),
        (viewer.put, workflow),
        (viewer.delete, workflow),
        (viewer.post, f"{workflow}1/"),
        (viewer.post, "workflows/change-entity-context/"),
        (viewer.post, "executions/"),
        (viewer.post, f"executions/{execution.cuid}/submit/"),
        (viewer.post, f"executions/{execution.cuid}/cancel/"),
        (viewer.delete, f"finding-types/{scenario.limitation.cuid}/"),
    ):
        assert_problem(method(path), 403, "permission_denied")
    assert Execution.objects.live().count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("permission", "method", "path"),
    [
        ("workflows.add_workflow", "post", "workflows/"),
        ("workflows.change_workflow", "patch", "workflows/{caller}/"),
        ("workflows.change_entity_context", "post", "workflows/change-entity-context/"),
        ("workflows.delete_workflow", "delete", "workflows/{caller}/"),
        ("workflows.add_version", "post", "workflows/{caller}/1/"),
        ("executions.add_execution", "post", "executions/"),
        ("executions.submit_execution", "post", "executions/{execution}/submit/"),
        ("executions.change_execution", "post", "executions/{execution}/cancel/"),
        ("executions.add_finding", "post", "findings/"),
        ("executions.view_finding", "get", "findings/"),
    ],
)
def test_single_permission_is_sufficient(
    scenario: Scenario, permission: str, method: str, path: str
) -> None:
    path = path.format(caller=scenario.caller.cuid, execution=scenario.start().cuid)
    assert getattr(client_of(permission), method)(path).status_code != 403


def test_session_needs_csrf_token(scenario: Scenario) -> None:
    client = Client(enforce_csrf_checks=True)
    client.cookies = client_of(superuser=True).cookies
    body = assert_problem(client.post("workflows/", {}), 403, "permission_denied")
    assert "CSRF" in body["detail"]


# Descriptions


def test_schema_is_valid() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")


def test_schema_pages_are_served(api: Client) -> None:
    schema = api.get("schema/", headers={"Accept": "application/vnd.oai.openapi+json"}).json()
    assert schema["openapi"].startswith("3.1")
    operations = schema["paths"]["/api/v1/workflows/{cuid}/"]
    header = next(row for row in operations["patch"]["parameters"] if row["name"] == "If-Match")
    assert (header["in"], header["required"]) == ("header", True)
    page = api.get("docs/")
    assert page.status_code == 200
    assert b"https://cdn" not in page.content
    assert set(api.get("").json()) == set(READ)


def test_options_describes_resource(api: Client) -> None:
    FindingTypeFactory()
    for route in READ:
        assert api.options(f"{route}/").status_code == 200, route
