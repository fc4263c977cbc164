"""Placeholders in texts of a graph: ``{{field}}``, ``{{$variable}}`` and ``{{secret:NAME}}``.

No code is run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext

from executions.engine import form_fields
from executions.models.secret import NAME
from workflows.db.json_values import below, quoted

_ANY = re.compile(r"\{\{([^{}]*)\}\}")
_SECRET = re.compile(rf"secret:({NAME})")


def problem(text: str, *, secrets: bool = False) -> str | None:
    """Return the problem with the placeholders of a text, or None."""
    for match in _ANY.finditer(text):
        name = match[1].strip()
        if not name.startswith("secret:"):
            if reason := form_fields.name_problem(name.removeprefix("$")):
                return reason
        elif not _SECRET.fullmatch(name):
            return gettext("The placeholder {value} is not a valid secret name.").format(
                value=quoted(match[0])
            )
        elif not secrets:
            return gettext(
                "Secrets are allowed in headers and body only, not {value} here."
            ).format(value=quoted(match[0]))
    return None


def problems_in(value: object, *, secrets: bool = False) -> Iterator[tuple[str, str]]:
    """Yield pointer and problem of every text with wrong placeholders in a JSON value."""
    if isinstance(value, str):
        if reason := problem(value, secrets=secrets):
            yield "", reason
        return
    items: Iterable[tuple[object, object]] = ()
    if isinstance(value, list):
        items = enumerate(value)
    elif isinstance(value, dict):
        items = value.items()
    for key, item in items:
        for pointer, reason in problems_in(item, secrets=secrets):
            # Built for problems only: keys can be long, and contain many values.
            yield below("", key) + pointer, reason


def names_in(value: object) -> set[str]:
    """Return the names of the fields, and of the variables with ``$``, in a JSON value's texts."""
    return {name for name in _named_in(value) if not name.startswith("secret:")}


def find_secrets(value: object, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield pointer and name of every secret in the texts of a JSON value."""
    if isinstance(value, str):
        names = (_SECRET.fullmatch(match[1].strip()) for match in _ANY.finditer(value))
        yield from ((at, found[1]) for found in names if found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_secrets(item, below(at, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from find_secrets(item, below(at, key))


def _named_in(value: object) -> set[str]:
    if isinstance(value, str):
        return {match[1].strip() for match in _ANY.finditer(value)}
    items = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return {name for item in items for name in _named_in(item)}


def fill(
    text: str,
    fields: Mapping[str, Any],
    *,
    secret: Callable[[str], str] | None = None,
    quote: Callable[[str], str] | None = None,
) -> str:
    """Replace the placeholders. Placeholders inside a value are not replaced."""

    def value(match: re.Match[str]) -> str:
        name = match[1].strip()
        if secret is not None and name.startswith("secret:"):
            return secret(name.removeprefix("secret:"))
        replaced = as_text(fields.get(name))
        return replaced if quote is None else quote(replaced)

    return _ANY.sub(value, text)


def fill_in(value: Any, fields: Mapping[str, Any], secret: Callable[[str], str]) -> Any:
    """Fill every text in a JSON value. A text that is only a field becomes the field's value."""
    if isinstance(value, str):
        whole = _ANY.fullmatch(value)
        if whole and not whole[1].strip().startswith("secret:"):
            return fields.get(whole[1].strip())
        return fill(value, fields, secret=secret)
    if isinstance(value, list):
        return [fill_in(item, fields, secret) for item in value]
    if isinstance(value, dict):
        return {key: fill_in(item, fields, secret) for key, item in value.items()}
    return value


def as_text(value: Any) -> str:
    """Return the value of a field as text; a missing field is empty."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
