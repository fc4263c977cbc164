"""The description of the API is whole, is true of itself, and is the one under ``docs/``."""

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
    """What is described, where it is described elsewhere."""
    while "$ref" in described:
        found: Any = schema()
        for name in described["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        described = found
    return described


def bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each body: of what, its media type, and how it is described."""
    for name, operation in operations():
        described = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for what, body in described.items():
            for media, content in followed(body).get("content", {}).items():
                yield f"{name} {what}", media, content


def test_the_committed_description_is_what_the_program_describes(tmp_path: Path) -> None:
    drawn = tmp_path / "openapi.yaml"
    call_command("spectacular", file=str(drawn), validate=True, fail_on_warn=True)
    assert drawn.read_text() == committed(), f"Run: {COMMAND}"


def test_every_body_has_an_example() -> None:
    without = [
        name
        for name, media, content in bodies()
        if media == "application/json" and not content.get("examples")
    ]
    assert not without


def test_every_example_is_what_its_schema_says() -> None:
    wrong = []
    for name, _, content in bodies():
        described = {**content["schema"], "components": schema()["components"]}
        for example in content.get("examples", {}).values():
            errors = Draft202012Validator(described).iter_errors(example["value"])
            wrong += [f"{name} {error.json_path}: {error.message}" for error in errors]
    assert not wrong


def test_every_operation_says_how_it_refuses() -> None:
    for name, operation in operations():
        refusals = {status for status in operation["responses"] if status >= "4"}
        assert {"400", "401", "415", "429"} <= refusals, name
        assert "404" in refusals or "{" not in name, name
        assert {"411", "413"} <= refusals or name.startswith("GET"), name
        for status in refusals:
            assert list(followed(operation["responses"][status])["content"]) == [PROBLEMS], name


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert len(set(names)) == len(names)


def test_a_row_that_was_created_leads_to_all_that_can_be_done_with_it() -> None:
    started = schema()["paths"]["/api/v1/executions/"]["post"]["responses"]["201"]["links"]
    assert {"executions_submit", "executions_cancel", "executions_steps_list"} <= set(started)


@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_description_page_loads_nothing_from_another_host(page: str) -> None:
    client = APIClient()
    client.force_authenticate(get_user_model()(username="ada"))
    answer = client.get(f"/api/v1/{page}/").content.decode()
    assert "/static/drf_spectacular_sidecar/" in answer
    assert "https://" not in answer
