"""The OpenAPI document of the API (OpenAPI 3.1).

``drf-spectacular`` generates the document from the views. This module adds the parts that all
routes share: errors, response headers, examples of bodies, and links from created objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension

from workflows.api.base import filter_operators
from workflows_project.api import deprecation, schema_descriptions, schema_texts
from workflows_project.api.problems import CONTENT_TYPE
from workflows_project.api.schema_components import HEADERS, PROBLEM, SCHEMAS, SIGNATURE, TYPED
from workflows_project.api.schema_examples import EXAMPLES
from workflows_project.api.schema_graphs import graph_components, reference
from workflows_project.api.schema_names import rename_components
from workflows_project.api.statuses import status_phrase

Description = dict[str, Any]
Operation = dict[str, Any]

JSON = "application/json"

ERRORS: dict[int, str] = {
    400: "The request is invalid, or a guard refuses it. `errors` lists the problems, `blockers` "
    "what blocks the edit, and `remedies` what you can do.",
    401: "The request is not authenticated, or the token has expired or was revoked.",
    403: "The user does not have the permission.",
    404: "The record does not exist.",
    406: "The response is not available in a format of `Accept`.",
    409: "The record has changed, has ended, or is being changed. If `Retry-After` is present, the "
    "same request may succeed later.",
    410: "The webhook is closed.",
    412: "The record does not match `If-Match`.",
    411: "The request has a body without a length.",
    413: "The body is too large.",
    415: "The body is not JSON, or its charset is not UTF-8.",
    422: "The `Idempotency-Key` was already used with another request.",
    428: "Send `If-Match`.",
    429: "Too many requests. `Retry-After` is the time to wait, in seconds.",
    500: "The server failed. The request had no effect, or its effect is unknown: repeat it with "
    "the same `Idempotency-Key`.",
    503: "The server cannot respond now, for example because the database is unavailable. "
    "`Retry-After` is the time to wait, in seconds.",
}
"""Descriptions of error statuses. ``docs/reference/problems.md`` lists the codes."""


class StrictRequests(OpenApiSerializerExtension):
    """Serializers that reject unknown fields."""

    target_class = "workflows.api.base.strict_fields.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Description:
        """Return the generated schema; of a request, with ``additionalProperties: false``."""
        schema: Description = auto_schema._map_serializer(
            self.target, direction, bypass_extensions=True
        )
        # Responses may have more fields in later releases.
        return {**schema, "additionalProperties": False} if direction == "request" else schema


def complete(result: Description, **_: Any) -> Description:
    """Complete the generated document. This is a postprocessing hook of ``drf-spectacular``."""
    rename_components(result)
    components = result["components"]
    for name, component in components["schemas"].items():
        _add_description(component, schema_descriptions.describe_component(name))
        if "properties" in component:
            _complete_properties(name, component)
    components["schemas"] |= {**SCHEMAS, **graph_components()}
    components["headers"] = HEADERS
    components["securitySchemes"]["signature"] = SIGNATURE
    components["responses"] = {_name(status): _problem(status) for status in ERRORS}
    for path, method, operation in _operations(result):
        _rename(path, method, operation)
        _add_texts(operation)
        deprecation.mark_operation(operation)
        if SIGNATURE["name"] in _parameters(operation, "header"):
            operation["security"] = [{"signature": []}]
        _add_dry_run(operation)
        _add_examples(components["schemas"], operation)
        _add_variants(components["schemas"], path, method, operation)
        _add_not_modified(operation)
        _add_errors(path, method, operation)
        _add_headers(result["paths"], path, method, operation)
    _add_links(result["paths"])
    _normalize(result)
    _describe_defaults(components["schemas"])
    _name_enums(components["schemas"], result["paths"])
    return result


def _complete_properties(name: str, component: Description) -> None:
    """Add types and descriptions of properties. A response has all of its properties."""
    properties = component["properties"]
    for key, schema in TYPED.get(name, {}).items():
        # The keys beside a reference keep the description and readOnly.
        retained = {k: v for k, v in properties[key].items() if k in ("description", "readOnly")}
        properties[key] = {**schema, **retained}
    for key, value in properties.items():
        texts = schema_texts.PROPERTIES
        text = texts.get(f"{name}.{key}") or texts.get(f"{_whole(name)}.{key}") or texts.get(key)
        if text and not value.get("description"):
            properties[key] = {**value, "description": text}
    if name == "SaveGraphRequest":
        component["required"] = ["nodes", "edges"]
    elif not name.endswith("Request"):
        component["required"] = list(properties)


def _whole(request: str) -> str:
    """Return the name of the response that a request component belongs to."""
    return request.removesuffix("Request").removesuffix("Patch")


def _operations(result: Description) -> Iterator[tuple[str, str, Operation]]:
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _rename(path: str, method: str, operation: Operation) -> None:
    """Remove ``_create`` from the ids of actions, for example ``executions_submit_create``."""
    words = [word for word in path.split("/")[3:] if word and not word.startswith("{")]
    name = operation["operationId"]
    if method == "post" and len(words) > 1 and name.endswith("_create"):
        operation["operationId"] = name.removesuffix("_create")


def _add_texts(operation: Operation) -> None:
    """Insert the description of an operation, and its first sentence as the summary."""
    text = schema_descriptions.OPERATIONS.get(operation["operationId"], "")
    if text:
        operation["summary"] = re.split(r"[.:,](?:\s|$)", text)[0]
    _add_description(operation, text)
    for row in operation.get("parameters", ()):
        name, known = row["name"], schema_texts.PARAMETERS
        found = known.get(name) or filter_operators.DESCRIPTIONS.get(name.rpartition("__")[2])
        if not row.get("description") and found:
            row["description"] = str(found)


def _add_description(target: Description, text: str) -> None:
    """Insert the description of an operation or component after its first member."""
    if text:
        (first, value), *others = target.items()
        target.clear()
        target |= {first: value, "description": text, **dict(others)}


def _parameters(operation: Operation, location: str) -> dict[str, Description]:
    return {row["name"]: row for row in operation.get("parameters", ()) if row["in"] == location}


def _add_dry_run(operation: Operation) -> None:
    """Add the response 200 of a dry run."""
    responses = operation["responses"]
    if "dry_run" in _parameters(operation, "query") and "204" not in responses:
        actual = responses.get("201") or responses.get("202") or responses["200"]
        responses.setdefault("200", {**actual, "description": "The response to a dry run."})


def _add_variants(schemas: Description, path: str, method: str, operation: Operation) -> None:
    """Name the fields that ``fields`` can select, and the lists that are available as CSV.

    Both are extensions, not parameters and media types: a response with other fields than the
    declared ones has no place in a typed client.
    """
    is_list = "page" in _parameters(operation, "query")
    if not is_list and (method != "get" or not path.endswith("}/")):
        return
    row = operation["responses"]["200"]["content"][JSON]["schema"]
    if is_list:
        row = schemas[_referred(row)]["properties"]["results"]["items"]
        operation["x-csv"] = True
    operation["x-fields"] = list(schemas[_referred(row)]["properties"])


# Errors


def _name(status: int) -> str:
    return status_phrase(status).replace(" ", "")


def _problem(status: int) -> Description:
    response: Description = {
        "description": ERRORS[status],
        "content": {
            CONTENT_TYPE: {
                "schema": {"$ref": f"#/components/schemas/{PROBLEM}"},
                "examples": {PROBLEM: {"value": EXAMPLES[f"{PROBLEM} {status}"]}},
            }
        },
    }
    if status in (409, 429, 503):
        names = ["Retry-After", *(("RateLimit", "RateLimit-Policy") if status == 429 else ())]
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return response


def _add_not_modified(operation: Operation) -> None:
    if "If-None-Match" in _parameters(operation, "header"):
        operation["responses"]["304"] = {"description": "The record has not changed."}


def _add_errors(path: str, method: str, operation: Operation) -> None:
    for status in sorted(_errors(path, method, operation)):
        reference = {"$ref": f"#/components/responses/{_name(status)}"}
        operation["responses"].setdefault(str(status), reference)
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _errors(path: str, method: str, operation: Operation) -> set[int]:
    """Return the error statuses of an operation, derived from its parameters."""
    headers, query = _parameters(operation, "header"), _parameters(operation, "query")
    found = {400, 415, 429, 500, 503} | ({404} if "{" in path else set())
    if SIGNATURE["name"] in headers:
        found |= {401, 410}
    else:
        found |= {401, 403, 406}
    if "page" in query:
        found |= {404}
    if method in ("post", "put", "patch", "delete"):
        found |= {411, 413}
    if "dry_run" in query:
        found |= {409}
    if "If-Match" in headers:
        found |= {409, 412, 428} if headers["If-Match"].get("required") else {409, 412}
    if "Idempotency-Key" in headers:
        found |= {409, 422}
    return found


# Headers


def _add_headers(paths: Description, path: str, method: str, operation: Operation) -> None:
    headers, query = _parameters(operation, "header"), _parameters(operation, "query")
    for status, response in operation["responses"].items():
        if not status.startswith("2"):
            continue
        names = []
        if status in ("200", "201") and _has_etag(paths, path, method, operation):
            names.append("ETag")
        if status == "202" or (status == "201" and _has_location(paths, path, operation)):
            names.append("Location")
        if "page" in query:
            names.append("Link")
        if "Idempotency-Key" in headers:
            names.append("Idempotency-Replayed")
        if "dry_run" in query and status in ("200", "204"):
            names.append("Dry-Run")
        if names:
            response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _has_etag(paths: Description, path: str, method: str, operation: Operation) -> bool:
    """Return True if the response is an object that an edit or a conditional GET can refer to."""
    if {"If-Match", "If-None-Match"} & _parameters(operation, "header").keys():
        return True
    target = path if method == "get" else _row_of(path)
    edits = paths.get(target, {}).values()
    return any("If-Match" in _parameters(row, "header") for row in edits)


def _has_location(paths: Description, path: str, operation: Operation) -> bool:
    """Return True if a response 201 names the URL of a new record."""
    is_new_version = operation["operationId"] == "workflow_versions_save_graph"
    return is_new_version or _row_of(path) in paths or path.endswith("/restart/")


def _row_of(collection: str) -> str:
    """Return the path of an object in a collection."""
    return f"{collection}{{cuid}}/"


# Examples


def _add_examples(schemas: Description, operation: Operation) -> None:
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for body in bodies:
        for media, content in body.get("content", {}).items():
            name = _referred(content.get("schema", {}))
            example = _example(schemas, name)
            if media == JSON and example is not None:
                content.setdefault("examples", {name: {"value": example}})


def _example(schemas: Description, name: str) -> Any:
    """Return the example of a component; None if it has none.

    That of a request is the example of the response without the fields that it cannot have.
    """
    if name in EXAMPLES:
        return EXAMPLES[name]
    if name.endswith("Page"):
        row = EXAMPLES.get(name.removesuffix("Page"))
        return None if row is None else _page_of(row)
    whole = EXAMPLES.get(_whole(name))
    if whole is None:
        return None
    known = schemas[name].get("properties", {})
    return {key: value for key, value in whole.items() if key in known}


def _page_of(row: Any) -> Description:
    return {"count": 1, "next": None, "previous": None, "results": [row]}


def _referred(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


# Links


def _add_links(paths: Description) -> None:
    """Add links from the creation of an object to its operations."""
    for collection, methods in paths.items():
        created = methods.get("post", {}).get("responses", {}).get("201")
        if created is None or _row_of(collection) not in paths:
            continue
        created["links"] = {
            operation["operationId"]: {
                "operationId": operation["operationId"],
                "parameters": {"cuid": "$response.body#/cuid"},
            }
            for path, row in paths.items()
            if path.startswith(_row_of(collection)) and path.count("{") == 1
            for operation in row.values()
        }


# Corrections


def _normalize(schema: Any) -> None:
    """Simplify schemas of any JSON, and remove bounds that depend on the database."""
    if isinstance(schema, dict):
        if {} in schema.get("oneOf", ()):
            del schema["oneOf"]
        if schema.get("title") == "ID":
            # The label of a column, which says nothing about the property.
            del schema["title"]
        if schema.get("readOnly") and schema.get("type") == "integer":
            # These depend on the column type of the database.
            for name in ("minimum", "maximum", "format"):
                schema.pop(name, None)
        if schema.get("type") == "array" and schema.get("items", {}).get("type") == "string":
            # pydantic would get a class for each, with the name of the list in the singular.
            schema["items"].pop("minLength", None)
        for value in schema.values():
            _normalize(value)
    elif isinstance(schema, list):
        for value in schema:
            _normalize(value)


def _describe_defaults(schema: Any) -> None:
    """Move the defaults of properties into their descriptions.

    The types of TypeScript require a member with a default, and other clients send it.
    """
    if isinstance(schema, list):
        for value in schema:
            _describe_defaults(value)
    if not isinstance(schema, dict):
        return
    for value in schema.values():
        _describe_defaults(value)
    required = schema.get("required", ())
    for name, row in schema["properties"].items() if "properties" in schema else ():
        default = row.pop("default", None)
        if default is not None and name not in required and "description" in row:
            text = default if isinstance(default, str) else json.dumps(default)
            text = "empty" if default in ("", [], {}) else f"`{text}`"
            row["description"] = f"{row['description']} The default is {text}."


def _name_enums(schemas: Description, paths: Description) -> None:
    """Replace enumerations of parameters by references to the component with the same values."""
    named = {frozenset(row["enum"]): name for name, row in schemas.items() if "enum" in row}
    for methods in paths.values():
        for operation in methods.values():
            for row in operation.get("parameters", ()):
                schema = row["schema"]
                for place, key in ((row, "schema"), (schema, "items")):
                    values = place.get(key, {}).get("enum", ())
                    if frozenset(values) in named:
                        place[key] = reference(named[frozenset(values)])
