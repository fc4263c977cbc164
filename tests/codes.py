"""The error codes of the API, collected from the source code."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django_filters.filterset import FilterSet
from rest_framework import exceptions
from rest_framework.fields import Field
from rest_framework.validators import UniqueValidator

from workflows.api.base.strict_fields import StrictModelSerializer, StrictSerializer
from workflows.db.locks import Contention
from workflows.refusals import Problem, Refusal
from workflows_project.api.problems import DJANGO_ERRORS, problem, respond

PACKAGES = ("workflows", "executions", "workflows_project")
# The position of the code among the arguments of the functions that make problems.
PLACES = {
    Problem.__name__: 1,
    exceptions.ErrorDetail.__name__: 1,
    problem.__name__: 1,
    respond.__name__: 1,
    Field.fail.__name__: 0,
}


SERVERS = {f"workflows_project.{name}" for name in ("asgi", "celery", "wsgi")}
"""Modules that prepare a process for serving when they are imported."""


def every_code() -> dict[str, str]:
    """Return the codes, each with one place that uses it."""
    _import_all()
    found: dict[str, str] = {}
    for code, place in (
        *_of_classes(),
        *_of_fields(),
        *_of_filters(),
        *_written(),
        *((code, "problems.DJANGO_ERRORS") for code, _ in DJANGO_ERRORS.values()),
    ):
        found.setdefault(code, place)
    return found


def _import_all() -> None:
    for package in PACKAGES:
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            if ".migrations" not in module.name and module.name not in SERVERS:
                importlib.import_module(module.name)


def below(kind: type[Any]) -> Iterator[type[Any]]:
    for one in kind.__subclasses__():
        yield one
        yield from below(one)


def _ours(kind: type[Any]) -> bool:
    return kind.__module__.split(".")[0] in PACKAGES


def _of_classes() -> Iterator[tuple[str, str]]:
    yield Refusal.code, "Refusal"
    yield Contention.code, "Contention"
    for refusal in filter(_ours, below(Refusal)):
        yield refusal.code, refusal.__qualname__
    for error in below(exceptions.APIException):
        if _ours(error) or error.__module__ == exceptions.__name__:
            code = error.default_code
            # The middleware responds to database faults.
            if code != "error":
                yield code, error.__qualname__


def _of_fields() -> Iterator[tuple[str, str]]:
    """Return the codes of the fields of request bodies."""
    for kind in filter(_ours, below(StrictSerializer)):
        if kind is StrictModelSerializer:
            continue
        for name, field in kind().fields.items():
            if not field.read_only:
                place = f"{kind.__qualname__}.{name}"
                yield from ((code, place) for code in field.error_messages)
                for validator in field.validators:
                    unique = isinstance(validator, UniqueValidator)
                    if code := "unique" if unique else getattr(validator, "code", None):
                        yield code, place


def _of_filters() -> Iterator[tuple[str, str]]:
    """Return the codes of the parameters of lists."""
    for kind in filter(_ours, below(FilterSet)):
        if kind._meta.model is None:
            # A base class.
            continue
        for name, field in kind().form.fields.items():
            yield from ((code, f"{kind.__qualname__}.{name}") for code in field.error_messages)
            for validator in field.validators:
                yield validator.code, f"{kind.__qualname__}.{name}"


def _written() -> Iterator[tuple[str, str]]:
    """Return the codes that are literals in the source code."""
    for package in PACKAGES:
        for path in sorted((Path(settings.BASE_DIR) / package).rglob("*.py")):
            if "migrations" not in path.parts:
                place = str(path.relative_to(settings.BASE_DIR))
                yield from ((code, place) for code in _in_source(path.read_text()))


def _in_source(text: str) -> Iterator[str]:
    tree = ast.parse(text)
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            place = PLACES.get(name)
            given = [] if place is None else node.args[place : place + 1]
            if name.endswith("ValidationError") or name == "DatabaseFault":
                given += [row.value for row in node.keywords if row.arg == "code"]
            for value in given:
                yield from _text(constants.get(getattr(value, "id", ""), value))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _given_to_code(target, node.value)
    if isinstance(by_status := constants.get("CODES"), ast.Dict):
        for value in by_status.values:
            yield from _text(value)


def _given_to_code(target: ast.expr, value: ast.expr) -> Iterator[str]:
    """Return the codes of ``code = "…"`` and of ``detail, code = "…", "…"``."""
    pairs = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        starred = any(isinstance(one, ast.Starred) for one in (*target.elts, *value.elts))
        pairs = [] if starred else list(zip(target.elts, value.elts, strict=True))
    for one, given in pairs:
        if isinstance(one, ast.Name) and one.id == "code":
            yield from _text(given)


def _text(value: Any) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
