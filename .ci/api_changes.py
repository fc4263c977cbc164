"""Compare the OpenAPI document with that of the last release, and list what breaks clients.

Usage: api_changes.py [REVISION]. Without a revision, the latest tag ``v…`` is the last release.
``docs/reference/api-policy.md`` says what may change. Breaks that are accepted on purpose are the
lines of ``.ci/accepted_api_breaks``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
DOCUMENT = "docs/openapi.yaml"
ACCEPTED = ROOT / ".ci" / "accepted_api_breaks"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Document = Mapping[str, Any]


def find_breaks(old: Document, new: Document) -> list[str]:
    """Return a sentence for each change that breaks a client of the old document."""
    return sorted({*_operation_breaks(old, new), *_component_breaks(old, new)})


def _operations(document: Document) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def _parameters(operation: Document) -> dict[str, Any]:
    return {f"{row['in']} {row['name']}": row for row in operation.get("parameters", ())}


def _operation_breaks(old: Document, new: Document) -> Iterator[str]:
    after = _operations(new)
    for name, operation in _operations(old).items():
        if name not in after:
            yield f"{name}: the operation was removed."
            continue
        changed = after[name]
        before, now = _parameters(operation), _parameters(changed)
        for key in before.keys() - now.keys():
            yield f"{name}: the parameter {key} was removed."
        for key, row in now.items():
            if row.get("required") and not before.get(key, {}).get("required"):
                yield f"{name}: the parameter {key} is required now."
        for key in before.keys() & now.keys():
            yield from _lost_values(f"{name}: the parameter {key}", before[key], now[key])
        if operation.get("operationId") != changed.get("operationId"):
            yield f"{name}: the operation id has changed."
        for status in operation["responses"].keys() - changed["responses"].keys():
            if status.startswith("2"):
                yield f"{name}: the response {status} was removed."
        for place in ("requestBody", "responses"):
            if _bodies(operation, place) != _bodies(changed, place) and _bodies(operation, place):
                yield f"{name}: the body of {place} has another type."


def _bodies(operation: Document, place: str) -> dict[str, str]:
    rows = operation.get(place) or {}
    rows = {"": rows} if place == "requestBody" else rows
    return {
        f"{status} {media}": str(content["schema"])
        for status, row in rows.items()
        if not status or status.startswith("2")
        for media, content in row.get("content", {}).items()
    }


def _lost_values(where: str, old: Document, new: Document) -> Iterator[str]:
    """Yield the values that were accepted and are not any more."""
    before, now = (row.get("schema", row) for row in (old, new))
    before, now = (row.get("items", row) for row in (before, now))
    if "enum" in before and "enum" in now:
        for value in before["enum"]:
            if value not in now["enum"]:
                yield f"{where} has no value {value!r} any more."


def _component_breaks(old: Document, new: Document) -> Iterator[str]:
    before, after = old["components"]["schemas"], new["components"]["schemas"]
    for name, component in before.items():
        if name not in after:
            yield f"{name}: the component was removed."
            continue
        changed = after[name]
        is_request = component.get("additionalProperties") is False
        yield from _lost_values(name, component, changed)
        properties, now = component.get("properties", {}), changed.get("properties", {})
        for key in properties.keys() - now.keys():
            yield f"{name}.{key}: the property was removed."
        for key in properties.keys() & now.keys():
            yield from _lost_values(f"{name}.{key}", properties[key], now[key])
            if _type(properties[key]) != _type(now[key]):
                yield f"{name}.{key}: the type has changed."
        was, required = set(component.get("required", ())), set(changed.get("required", ()))
        for key in required - was if is_request else ():
            yield f"{name}.{key}: the property is required now."
        for key in (was - required) & now.keys() if not is_request else ():
            yield f"{name}.{key}: the property may be missing now."


def _type(schema: Document) -> str:
    kinds = schema.get("type")
    kinds = sorted(kinds) if isinstance(kinds, list) else kinds
    variants = [_type(row) for key in ("oneOf", "anyOf") for row in schema.get(key, ())]
    items = _type(schema["items"]) if "items" in schema else ""
    return str((schema.get("$ref"), kinds, items, sorted(variants)))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def main(arguments: list[str]) -> int:
    """Print the breaks that are not accepted. Return 1 if there are any."""
    describe = ("describe", "--tags", "--abbrev=0", "--match", "v*")
    revision = arguments[0] if arguments else _git(*describe).strip()
    released = _git("show", f"{revision}:{DOCUMENT}") if revision else ""
    if not released:
        print(f"No released {DOCUMENT} to compare with.")
        return 0 if not arguments else 2
    new = yaml.load((ROOT / DOCUMENT).read_text(), Loader=LOADER)
    found = find_breaks(yaml.load(released, Loader=LOADER), new)
    accepted = ACCEPTED.read_text().splitlines() if ACCEPTED.is_file() else []
    breaks = [line for line in found if line not in accepted]
    print(*breaks, sep="\n")
    print(f"{len(breaks)} changes since {revision} break clients.")
    return 1 if breaks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
