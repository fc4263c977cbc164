"""Texts for users are strings: they exist when Python runs with ``-OO``."""

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
# Prints the messages and the OpenAPI document.
PROGRAM = """
import json
import django
django.setup()
from drf_spectacular.generators import SchemaGenerator
from tests.test_messages import user_texts
document = SchemaGenerator(api_version="v1").get_schema(public=True)
print(json.dumps([user_texts(), document], sort_keys=True))
"""


def subclasses(of: type) -> Iterator[Any]:
    for one in of.__subclasses__():
        yield one
        yield from subclasses(one)


def product_subclasses(root: type) -> list[Any]:
    """Return the subclasses of a class in all modules of the product."""
    for package in ("workflows", "executions"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts and path.stem != "__init__":
                import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    packages = {"workflows", "executions"}
    return [one for one in subclasses(root) if one.__module__.split(".")[0] in packages]


def user_texts() -> dict[str, str]:
    """Return all messages and descriptions, by their class or node type."""
    messages = {one.__qualname__: str(one.message) for one in product_subclasses(Refusal)}
    messages |= {one.__qualname__: str(one()) for one in product_subclasses(MessageError)}
    descriptions = {name: str(known.description) for name, known in node_types().items()}
    form = FormInvalid([Problem("/data/a", "invalid", "A number.")])
    return {**messages, **descriptions, "form": str(form.message)}


def test_product_does_not_read_docstrings():
    for package in ("workflows", "executions", "workflows_project"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = getattr(node, "attr", None) or getattr(node, "id", None)
                assert name not in READERS, path


def test_messages_and_openapi_document_exist_under_optimization():
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
    texts, document = json.loads(done.stdout)
    assert texts == user_texts()
    descriptions = {
        operation["operationId"]: operation.get("description")
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    assert descriptions == {
        operation["operationId"]: operation["description"]
        for methods in schema()["paths"].values()
        for operation in methods.values()
    }


@pytest.mark.parametrize("refusal", product_subclasses(Refusal), ids=lambda one: one.__qualname__)
def test_refusal_has_its_own_message(refusal: type[Refusal]):
    assert "message" in vars(refusal)
    assert isinstance(refusal.message, Promise)


def test_every_operation_and_schema_has_description():
    for methods in schema()["paths"].values():
        for operation in methods.values():
            assert operation.get("description"), operation["operationId"]
    for name, component in schema()["components"]["schemas"].items():
        if not name.startswith(("Paginated", "Bulk")):
            assert component.get("description"), name
