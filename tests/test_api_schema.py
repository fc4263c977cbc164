"""The OpenAPI document is complete and consistent, and matches ``docs/openapi.yaml``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from jsonschema import Draft202012Validator
from rest_framework.test import APIClient

from tests.openapi import committed, schema
from workflows.graph import node_types
from workflows.models import Workflow

COMMAND = "manage.py spectacular --file docs/openapi.yaml"
FILES = ("multipart/form-data", "application/octet-stream")
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
        assert {"400", "401", "415", "429", "500", "503"} <= refusals, name
        assert "404" in refusals or "{" not in name, name
        assert {"411", "413"} <= refusals or name.startswith("GET"), name
        for status in refusals:
            assert list(followed(operation["responses"][status])["content"]) == [PROBLEMS], name


def components() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = schema()["components"]["schemas"]
    return found


def test_requests_have_no_read_only_properties_and_refuse_unknown_ones() -> None:
    for name, component in components().items():
        # A sender of webhooks may send more.
        if name.endswith("Request") and name != "WorkflowHookRequest":
            assert component["additionalProperties"] is False, name
            for row in component.get("properties", {}).values():
                assert not row.get("readOnly"), name


def test_responses_have_all_properties_and_may_get_more() -> None:
    """A client can rely on every property, and later releases may add some."""
    responses = {
        followed(content["schema"])["description"]: followed(content["schema"])
        for name, media, content in bodies()
        if not name.endswith("request") and media == "application/json"
    }
    assert len(responses) > 20
    for text, component in responses.items():
        assert component["required"] == list(component["properties"]), text
        assert "additionalProperties" not in component, text


def test_each_body_has_one_type() -> None:
    """A union with parts of a record or with CSV would need a cast in every client."""
    for name, media, content in bodies():
        if "/files/" in name and media in FILES:
            continue
        assert media in ("application/json", PROBLEMS), name
        assert list(content["schema"]) == ["$ref"] or name.startswith("POST /hooks/"), name


def test_each_operation_has_a_summary_a_known_tag_and_descriptions() -> None:
    tags = [tag["name"] for tag in schema()["tags"]]
    assert {tag for _, operation in operations() for tag in operation["tags"]} == set(tags)
    for name, operation in operations():
        assert 5 < len(operation["summary"]) < 70, name
        for row in operation.get("parameters", ()):
            assert row.get("description"), f"{name} {row['name']}"


def test_no_property_has_a_default() -> None:
    """Types of TypeScript would require the member, and other clients would send it."""
    for name, component in components().items():
        for key, row in component.get("properties", {}).items():
            assert "default" not in row, f"{name}.{key}"
    start = components()["StartRequest"]
    assert start["required"] == ["entity", "workflow"]
    assert start["properties"]["dry_run"]["description"].endswith("The default is `false`.")


# Members that have any JSON value.
ANY = {"HttpRequestData.body", "Rule.value"}


def test_each_property_has_a_type() -> None:
    texts = {"description", "readOnly", "examples"}
    untyped = {
        f"{name}.{key}"
        for name, component in components().items()
        for key, row in component.get("properties", {}).items()
        if row.keys() <= texts
    }
    assert untyped == ANY


def test_each_component_and_property_is_described_and_named_for_a_class() -> None:
    for name, component in components().items():
        assert name[0].isupper() and not name.endswith(("Enum", "RequestRequest")), name
        assert component.get("description"), name
        for key, row in component.get("properties", {}).items():
            assert row.get("description") or "const" in row or "$ref" in row, f"{name}.{key}"


# "When a field changes" is the name of a trigger.
OPENER = re.compile(r"(What|Whether|Who|Whose|How|Which|Why|That|It)\b")


def test_descriptions_begin_with_a_noun_or_a_verb() -> None:
    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in ("description", "summary") and isinstance(inner, str):
                    yield inner
                yield from texts(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from texts(inner)

    assert [text for text in texts(schema()) if OPENER.match(text)] == []


@pytest.mark.parametrize("name", [*Workflow.Trigger.values])
def test_settings_of_each_trigger_are_described(name: str) -> None:
    page = (Path(settings.BASE_DIR) / "docs" / "reference" / "triggers.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    described = {**components()["TriggerData"], "components": schema()["components"]}
    examples = re.findall(r"`({.*?})`", row.split("|")[2])
    assert examples
    for example in examples:
        data = json.loads(example.replace("{…}", '{"field": "severity", "op": "exists"}'))
        assert Draft202012Validator(described).is_valid(data), data


def test_each_node_type_has_a_node_in_the_union() -> None:
    mapping = components()["Node"]["discriminator"]["mapping"]
    assert set(mapping) == set(node_types()) == set(components()["NodeTypeName"]["enum"])
    described = {**components()["Node"], "components": schema()["components"]}
    validator = Draft202012Validator(described)
    for name, node_type in node_types().items():
        required = node_type.data_schema.text.get("required")
        for data in node_type.data_schema.text.get("examples", [{}]):
            assert validator.is_valid({"id": "a", "type": name, "data": data}), name
            assert not validator.is_valid({"id": "a", "type": name, "data": {"nope": 1}}), name
        assert validator.is_valid({"id": "a", "type": name}) is not bool(required), name


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
