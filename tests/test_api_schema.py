"""The OpenAPI document is complete and consistent, and matches ``docs/openapi.yaml``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from jsonschema import Draft202012Validator
from rest_framework.test import APIClient

from tests.openapi import committed, schema

COMMAND = "manage.py spectacular --file docs/openapi.yaml"
PROBLEMS = "application/problem+json"


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in schema()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def followed(described: dict[str, Any]) -> dict[str, Any]:
    """Return the object that a reference points to."""
    while "$ref" in described:
        found: Any = schema()
        for name in described["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        described = found
    return described


def bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each body: its place, its media type, and its description."""
    for name, operation in operations():
        described = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for what, body in described.items():
            for media, content in followed(body).get("content", {}).items():
                yield f"{name} {what}", media, content


def test_committed_schema_is_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "openapi.yaml"
    call_command("spectacular", file=str(path), validate=True, fail_on_warn=True)
    assert path.read_text() == committed(), f"Run: {COMMAND}"


def test_each_body_has_example() -> None:
    without = [
        name
        for name, media, content in bodies()
        if media == "application/json" and not content.get("examples")
    ]
    assert not without


def test_each_example_is_valid() -> None:
    wrong = []
    for name, _, content in bodies():
        described = {**content["schema"], "components": schema()["components"]}
        for example in content.get("examples", {}).values():
            errors = Draft202012Validator(described).iter_errors(example["value"])
            wrong += [f"{name} {error.json_path}: {error.message}" for error in errors]
    assert not wrong


def test_each_operation_declares_problems() -> None:
    for name, operation in operations():
        refusals = {status for status in operation["responses"] if status >= "4"}
        assert {"400", "401", "415", "429"} <= refusals, name
        assert "404" in refusals or "{" not in name, name
        assert {"411", "413"} <= refusals or name.startswith("GET"), name
        for status in refusals:
            assert list(followed(operation["responses"][status])["content"]) == [PROBLEMS], name


def test_operation_ids_are_unique() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert len(set(names)) == len(names)


def test_created_row_has_links_to_its_operations() -> None:
    started = schema()["paths"]["/api/v1/executions/"]["post"]["responses"]["201"]["links"]
    assert {"executions_submit", "executions_cancel", "executions_steps_list"} <= set(started)


@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_docs_page_loads_nothing_from_other_hosts(page: str) -> None:
    client = APIClient()
    client.force_authenticate(get_user_model()(username="ada"))
    answer = client.get(f"/api/v1/{page}/").content.decode()
    assert "/static/drf_spectacular_sidecar/" in answer
    assert "https://" not in answer
