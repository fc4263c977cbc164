"""Compatibility: breaks are found, and deprecated routes are announced."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project

from tests.openapi import schema
from tests.workflows.api.clients import client_of
from workflows_project.api import deprecation

FILE = Path(project.BASE_DIR) / ".ci" / "api_changes.py"
LIST = "/api/v1/executions/"


@pytest.fixture(scope="module")
def changes() -> Any:
    spec: Any = importlib.util.spec_from_file_location("api_changes", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drop_operation(document: Any) -> None:
    del document["paths"][LIST]["get"]


def drop_parameter(document: Any) -> None:
    rows = document["paths"][LIST]["get"]["parameters"]
    rows[:] = [row for row in rows if row["name"] != "calls"]


def require_parameter(document: Any) -> None:
    document["paths"][LIST]["get"]["parameters"][0]["required"] = True


def drop_property(document: Any) -> None:
    del document["components"]["schemas"]["Finding"]["properties"]["title"]


def require_property(document: Any) -> None:
    document["components"]["schemas"]["FindingRequest"]["required"].append("fields")


def drop_value(document: Any) -> None:
    document["components"]["schemas"]["WorkflowState"]["enum"].remove("retired")


def change_type(document: Any) -> None:
    document["components"]["schemas"]["Finding"]["properties"]["title"]["type"] = "integer"


def make_nullable(document: Any) -> None:
    document["components"]["schemas"]["Finding"]["properties"]["title"]["type"] = ["string", "null"]


def make_optional(document: Any) -> None:
    document["components"]["schemas"]["Finding"]["required"].remove("title")


def rename_operation(document: Any) -> None:
    document["paths"][LIST]["get"]["operationId"] = "list_executions"


def drop_response(document: Any) -> None:
    del document["paths"][LIST]["post"]["responses"]["201"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (drop_operation, f"GET {LIST}: the operation was removed."),
        (drop_parameter, f"GET {LIST}: the parameter query calls was removed."),
        (require_parameter, "is required now."),
        (drop_property, "Finding.title: the property was removed."),
        (require_property, "FindingRequest.fields: the property is required now."),
        (drop_value, "WorkflowState has no value 'retired' any more."),
        (change_type, "Finding.title: the type has changed."),
        (make_nullable, "Finding.title: the type has changed."),
        (make_optional, "Finding.title: the property may be missing now."),
        (rename_operation, f"GET {LIST}: the operation id has changed."),
        (drop_response, f"POST {LIST}: the response 201 was removed."),
    ],
)
def test_break_is_found(changes: Any, change: Callable[[Any], None], sentence: str) -> None:
    document = copy.deepcopy(schema())
    change(document)
    found = changes.find_breaks(schema(), document)
    assert any(line.endswith(sentence) for line in found), found


def test_additions_are_no_breaks(changes: Any) -> None:
    old = copy.deepcopy(schema())
    drop_operation(old)
    drop_value(old)
    del old["components"]["schemas"]["Me"]
    del old["components"]["schemas"]["Status"]["properties"]["time"]
    assert changes.find_breaks(old, schema()) == []


def test_same_document_has_no_breaks(changes: Any) -> None:
    assert changes.find_breaks(schema(), schema()) == []


def test_check_compares_with_the_last_release(changes: Any, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(changes, "_git", lambda *_: "")
    assert changes.main([]) == 0 and "No released" in capsys.readouterr().out
    released = changes.DOCUMENT and (changes.ROOT / changes.DOCUMENT).read_text()
    monkeypatch.setattr(changes, "_git", lambda *_: released)
    assert changes.main(["v1.0.0"]) == 0
    more = released.replace("operationId: me_read", "operationId: me_was_read")
    monkeypatch.setattr(changes, "_git", lambda *_: more)
    assert changes.main(["v1.0.0"]) == 1
    assert "GET /api/v1/me/: the operation id has changed." in capsys.readouterr().out


@pytest.mark.django_db
def test_deprecated_route_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    api = client_of(superuser=True)
    row = deprecation.Deprecation("me_read", date(2027, 1, 1), date(2028, 1, 1), "Use `status/`.")
    monkeypatch.setitem(deprecation.DEPRECATED, "GET me", row)
    response = api.get("me/")
    assert response["Deprecation"] == "@1798761600"
    assert response["Sunset"] == "Sat, 01 Jan 2028 00:00:00 GMT"
    assert not api.get("status/").has_header("Deprecation")
    assert not api.get("nothing/").has_header("Sunset")
    operation = {"operationId": "me_read", "description": "Return the user."}
    deprecation.mark_operation(operation)
    assert operation["deprecated"]
    assert operation["description"].endswith("removed on 2028-01-01. Use `status/`.")


def test_deprecated_routes_exist_and_stay_for_a_year() -> None:
    ids = {row["operationId"] for methods in schema()["paths"].values() for row in methods.values()}
    for name, row in deprecation.DEPRECATED.items():
        assert row.operation in ids, name
        assert (row.until - row.since).days >= 365, name
