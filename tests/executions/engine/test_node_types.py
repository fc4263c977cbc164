"""Node types: their schemas, and the check of graphs against them."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from executions import services
from executions.engine import nodes
from executions.engine.nodes.behaviour import Behaviour, Visit
from executions.models import Status
from tests.executions.engine.test_nodes import enter
from tests.factories import FindingFactory, WorkflowFactory, save_line
from tests.workflows.graphs import edge, node
from workflows import graph
from workflows.db.json_values import below
from workflows.graph import COMMON_KEYS, NodeType, WorkflowValidationError, node_types, parse

TYPES = sorted(node_types())
EXAMPLES = [
    (name, example)
    for name, node_type in sorted(node_types().items())
    for example in node_type.data_schema.text.get("examples", [{}])
]
JUNK: tuple[Any, ...] = (None, True, -1, 3.5, 10**9, "", "no such thing", "x" * 600, [], {}, [[]])


def source_with_node(name: str, data: Any) -> dict[str, Any]:
    """Return a source whose node ``n`` has this type, with an edge for each of its exits."""
    node_type = node_types()[name]
    start, it, end = (
        node("start", "start"),
        {"id": "n", "type": name, "data": data},
        node("end", "end"),
    )
    if name == "start":
        return {"nodes": [it, end], "edges": [edge("n", "end")]}
    if node_type.ends:
        return {"nodes": [start, it], "edges": [edge("start", "n")]}
    handles = node_type.handles(data if isinstance(data, dict) else {}) or [None]
    exits = [edge("n", "end", handle) for handle in dict.fromkeys(handles)]
    return {"nodes": [start, it, end], "edges": [edge("start", "n"), *exits]}


def refused(name: str, data: Any) -> list[str]:
    """Return the pointers of the problems of the node's data in a graph that is to be saved."""
    try:
        parse(source_with_node(name, data), is_new=True)
    except WorkflowValidationError as error:
        at = "/nodes/0/data" if name == "start" else "/nodes/1/data"
        found = [problem.pointer for problem in error.problems]
        return [pointer.removeprefix(at) for pointer in found if pointer.startswith(at)]
    return []


def properties(schema: Any, at: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from properties(part, below(at, index))
    elif isinstance(schema, dict):
        for key, part in schema.get("properties", {}).items():
            yield below(at, "properties", key), part
            yield from properties(part, below(at, "properties", key))
        for key in ("items", "anyOf", "additionalProperties"):
            yield from properties(schema.get(key), below(at, key))
        for name, part in schema.get("$defs", {}).items():
            yield below(at, "$defs", name), part
            yield from properties(part, below(at, "$defs", name))


def mutations(value: Any) -> Iterator[Any]:
    """Yield the value with each part replaced by junk, removed, or given an unknown key."""
    yield from JUNK
    if isinstance(value, dict):
        yield {**value, "stranger": 1}
        for key, part in value.items():
            yield {other: item for other, item in value.items() if other != key}
            yield from ({**value, key: changed} for changed in mutations(part))
    elif isinstance(value, list):
        yield [*value, *value]
        for index, part in enumerate(value):
            for changed in mutations(part):
                yield [*value[:index], changed, *value[index + 1 :]]


@pytest.mark.parametrize("name", TYPES)
def test_node_type_schema_is_valid_and_describes_its_keys(name: str) -> None:
    node_type = node_types()[name]
    text = node_type.data_schema.text
    Draft202012Validator.check_schema(text)
    assert text["additionalProperties"] is False
    assert set(COMMON_KEYS) <= set(text["properties"])
    assert node_type.title and node_type.description.endswith(".")
    for place, part in properties(text):
        assert part.get("title"), place
        assert part.get("description") or place.startswith("/$defs/form"), place


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_example_of_a_node_type_is_valid(name: str, example: dict[str, Any]) -> None:
    assert parse(source_with_node(name, example)).nodes["n"].data == example


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_graph_is_refused_at_the_same_place_as_by_the_schema(
    name: str, example: dict[str, Any]
) -> None:
    node_type = node_types()[name]
    schema = node_type.data_schema
    judge = Draft202012Validator(schema.text)
    seen = 0
    for data in mutations(copy.deepcopy(example)):
        places = {below("", *error.absolute_path) for error in judge.iter_errors(data)}
        assert bool(schema.problems(data)) is bool(places), data
        if places:
            seen += 1
            found = refused(name, data)
            # Missing and unknown keys are reported at the object, other problems at their place.
            assert all(any(at.startswith(place) for at in found) for place in places), data
            assert len(found) == len(set(found)), data
    assert seen


def spoil_placeholders(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a pointer to each text with a placeholder, and the value with a wrong one there."""
    if isinstance(value, str) and "{{" in value:
        yield at, re.sub(r"\{\{.*?\}\}", "{{a b}}", value)
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, part in items:
        for place, spoiled in spoil_placeholders(part, below(at, key)):
            changed = copy.copy(value)
            changed[key] = spoiled
            yield place, changed


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_wrong_placeholder_is_refused_where_an_example_has_one(
    name: str, example: dict[str, Any]
) -> None:
    for place, data in spoil_placeholders(example):
        assert refused(name, data) == [place], "Add the key to parts."


@pytest.mark.parametrize("name", TYPES)
def test_node_type_that_describes_placeholders_has_an_example_of_them(name: str) -> None:
    schema = node_types()[name].data_schema.text
    for key, part in schema["properties"].items():
        if "{{" in part.get("description", ""):
            assert any("{{" in json.dumps(one.get(key)) for one in schema["examples"]), key


@pytest.mark.parametrize("name", TYPES)
def test_node_type_waits_if_an_example_of_it_waits(name: str) -> None:
    examples = [example for one, example in EXAMPLES if one == name]
    calls = {call[0] for example in examples for call in enter(name, example)}
    assert calls
    waits = bool(calls & {"wait", "later", "perform", "call"})
    assert node_types()[name].waits is waits, "Set waits."


def test_keyword_without_a_message_is_reported_by_its_name() -> None:
    schema = graph.Schema({"type": "integer", "multipleOf": 5})
    assert schema.problems(10) == []
    assert schema.problems(3) == [("", "The value does not satisfy multipleOf 5.")]


def test_problems_beyond_the_schema_are_reported_with_those_of_the_schema() -> None:
    data = {"title": 3, "fields": [{"name": "a"}, {"name": "a"}], "deadline": "soon"}
    assert refused("user_action", data) == ["/title", "/fields/1/name", "/deadline"]


def test_combination_of_keys_is_checked_when_each_key_is_valid() -> None:
    assert refused("approval", {"groups": "x", "needed": 3}) == ["/groups"]
    assert refused("approval", {"users": ["ada"], "needed": 3}) == ["/needed"]
    assert refused("wait", {"interval": "soon", "at": None}) == ["/interval"]
    assert refused("wait", {"interval": "P1D", "at": None}) == [""]


# A new node type


PAGE = Path(__file__).parents[3] / "docs" / "reference" / "node-types.md"


@pytest.fixture
def stamp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[NodeType]:
    """Register the node type of the documentation as a new module."""
    (module,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "stamp.py").write_text(module)
    monkeypatch.setattr(nodes, "__path__", [*nodes.__path__, str(tmp_path)])
    nodes.discover()
    yield node_types()["stamp"]
    sys.modules["workflows.graph.node_types"]._NODE_TYPES.pop("stamp")
    sys.modules.pop("executions.engine.nodes.stamp")
    del nodes.stamp  # type: ignore[attr-defined]


def test_page_names_attributes_and_methods_that_exist() -> None:
    table = PAGE.read_text().partition("\n## Adding a node type\n")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.MULTILINE)
    for cell, meaning in rows:
        for name in re.findall(r"`(\w+)(?:\(.*?\))?`", cell):
            assert hasattr(Behaviour, name) or name in Behaviour.__mro__[1].__annotations__, name
        if "`visit`: " in meaning:
            for name in re.findall(r"`(\w+)`", meaning.partition("`visit`: ")[2]):
                assert hasattr(Visit, name), name


def test_new_node_type_module_is_checked(stamp: NodeType) -> None:
    assert "stamp" in node_types()
    assert refused("stamp", {"feld": "x"}) == ["/field", "/feld"]
    assert refused("stamp", {"field": "x", "prefix": " {{a b}}"}) == ["/prefix"]
    for example in stamp.data_schema.text["examples"]:
        assert refused("stamp", example) == []


@pytest.mark.django_db
def test_new_node_type_module_runs(stamp: NodeType) -> None:
    workflow = WorkflowFactory()
    data = {"field": "seen_at", "prefix": "{{name}}: "}
    save_line(workflow, {"id": "n", "type": "stamp", "data": data})
    finding = FindingFactory(entity_name_type=workflow.entity_name_type, fields={"name": "Risk 7"})
    execution = services.start(workflow, finding)
    assert execution.status == Status.COMPLETED
    finding.refresh_from_db()
    assert finding.fields["seen_at"].startswith("Risk 7: 20")
