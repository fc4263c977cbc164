"""Texts for people are strings: they are there when Python runs with ``-OO``."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.utils.functional import Promise

from executions.engine.forms import FormInvalid
from tests.openapi import schema
from workflows.graph import node_types
from workflows.refusals import MessageError, Problem, Refusal

ROOT = Path(__file__).parent.parent
READERS = {"__doc__", "getdoc", "get_doc"}
# Prints all that a docstring has ever been shown as.
PROGRAM = """
import json
import django
django.setup()
from drf_spectacular.generators import SchemaGenerator
from tests.test_messages import shown
drawn = SchemaGenerator(api_version="v1").get_schema(public=True)
print(json.dumps([shown(), drawn], sort_keys=True))
"""


def subclasses(of: type) -> Iterator[Any]:
    for one in of.__subclasses__():
        yield one
        yield from subclasses(one)


def of_product(root: type) -> list[Any]:
    """Return the classes below this one, in whichever module they are."""
    for package in ("workflows", "executions"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts and path.stem != "__init__":
                import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    packages = {"workflows", "executions"}
    return [one for one in subclasses(root) if one.__module__.split(".")[0] in packages]


def shown() -> dict[str, str]:
    """Return every message and description by what it belongs to."""
    messages = {one.__qualname__: str(one.message) for one in of_product(Refusal)}
    messages |= {one.__qualname__: str(one()) for one in of_product(MessageError)}
    descriptions = {name: str(known.description) for name, known in node_types().items()}
    form = FormInvalid([Problem("/data/a", "invalid", "A number.")])
    return {**messages, **descriptions, "form": str(form.message)}


def test_product_reads_no_docstrings():
    for package in ("workflows", "executions", "workflows_project"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = getattr(node, "attr", None) or getattr(node, "id", None)
                assert name not in READERS, path


def test_messages_and_api_description_stay_under_optimization():
    environment = {
        **os.environ,
        "DEBUG": "1",
        "DATABASE_URL": "sqlite://:memory:",
        "DJANGO_SETTINGS_MODULE": "workflows_project.settings",
    }
    done = subprocess.run(
        [sys.executable, "-OO", "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    texts, drawn = json.loads(done.stdout)
    assert texts == shown()
    described = {
        operation["operationId"]: operation.get("description")
        for methods in drawn["paths"].values()
        for operation in methods.values()
    }
    assert described == {
        operation["operationId"]: operation["description"]
        for methods in schema()["paths"].values()
        for operation in methods.values()
    }


@pytest.mark.parametrize("refusal", of_product(Refusal), ids=lambda one: one.__qualname__)
def test_refusal_has_message_of_its_own(refusal: type[Refusal]):
    assert "message" in vars(refusal)
    assert isinstance(refusal.message, Promise)


def test_every_operation_and_schema_is_described():
    for methods in schema()["paths"].values():
        for operation in methods.values():
            assert operation.get("description"), operation["operationId"]
    for name, drawn in schema()["components"]["schemas"].items():
        if not name.startswith(("Paginated", "Bulk")):
            assert drawn.get("description"), name
