"""The description of the API (OpenAPI 3.1): what every route shares is added here, once.

``drf-spectacular`` draws the routes from their views. What it cannot know is put into what it has
drawn: the errors that a route can answer, the headers that go with its answers, an example for
each body, and which routes lead on from what was created.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension

from workflows.api.base import sparse_fields
from workflows_project.api import schema_descriptions
from workflows_project.api.problems import CONTENT_TYPE
from workflows_project.api.schema_examples import EXAMPLES
from workflows_project.api.statuses import status_phrase

Description = dict[str, Any]
Operation = dict[str, Any]

JSON = "application/json"

ERRORS: dict[int, str] = {
    400: "Something in the request is not right, or a guard refuses it: `errors` say what and "
    "where, `blockers` what stands in the way, `remedies` what helps.",
    401: "Nobody is logged in, or the token is not valid (any more).",
    403: "The user may not do this.",
    404: "Nothing is there.",
    406: "Nothing that the request accepts can be answered.",
    409: "What is there has changed, has ended, or is being changed: with `Retry-After` the same "
    "request may succeed.",
    410: "This is not called any more.",
    412: "What `If-Match` names is not there any more.",
    411: "The body comes without a length.",
    413: "The body is larger than what is taken.",
    415: "The body is not JSON, or its charset is not UTF-8.",
    422: "The `Idempotency-Key` has come before, with another request.",
    428: "Send `If-Match`.",
    429: "Too many requests; `Retry-After` says how many seconds to wait.",
    503: "The server cannot answer now, for example because its database is not available. "
    "`Retry-After` says how many seconds to wait.",
}
"""What the statuses of problems mean; their codes are told in ``docs/reference/problems.md``."""

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}


def _object(**properties: Any) -> Description:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Description) -> Description:
    return {"type": "array", "items": items}


PROBLEM = "Problem"
SCHEMAS: dict[str, Description] = {
    PROBLEM: {
        "description": "An answer that is no success (RFC 9457).",
        **_object(
            type={**_TEXT, "description": "`/problems/` and the code."},
            title={**_TEXT, "description": "What the status is called."},
            status={"type": "integer"},
            detail={**_TEXT, "description": "What is wrong, in a sentence."},
            code={**_TEXT, "description": "For programs; it does not change."},
            errors=_list({"$ref": "#/components/schemas/Error"}),
        ),
    },
    "Error": {
        "description": "One thing that is wrong.",
        **_object(
            pointer={
                **_TEXT,
                "description": "Where (RFC 6901); empty for the request as a whole.",
            },
            code=_TEXT,
            detail=_TEXT,
        ),
    },
    "Blockers": {
        "description": "What stands in the way: the first of it, and how much there is.",
        **_object(
            executions=_list(_object(cuid=_TEXT, status=_TEXT, workflow=_TEXT, url=_TEXT)),
            workflows=_list(_object(cuid=_TEXT, title=_TEXT, url=_TEXT)),
            total=_COUNT,
        ),
    },
    "Remedy": {
        "description": "What helps.",
        **_object(code=_TEXT, detail=_TEXT, workflows=_list(_TEXT)),
    },
    "Part": {"description": "What `fields` asked for of a row.", "type": "object"},
    "PageOfParts": {
        "description": "A page of rows, of each what `fields` asked for.",
        **_object(
            count={"type": ["integer", "null"], "minimum": 0},
            next={"type": ["string", "null"]},
            previous={"type": ["string", "null"]},
            results=_list({"$ref": "#/components/schemas/Part"}),
        ),
    },
}
SCHEMAS[PROBLEM]["properties"] |= {
    "blockers": {"$ref": "#/components/schemas/Blockers"},
    "remedies": _list({"$ref": "#/components/schemas/Remedy"}),
}

HEADERS: dict[str, Description] = {
    "ETag": {
        "description": "Names what was answered; sent back as If-Match, an edit is made on that.",
        "schema": _TEXT,
    },
    "Location": {"description": "The address of what was made.", "schema": _TEXT},
    "Retry-After": {"description": "In how many seconds to come again.", "schema": _COUNT},
    "Idempotency-Replayed": {
        "description": "Sent where this is the answer of an earlier request with the same key.",
        "schema": {"const": "true"},
    },
    "Dry-Run": {
        "description": "Sent where nothing was changed, for it was only tried.",
        "schema": {"const": "true"},
    },
}


class StrictRequests(OpenApiSerializerExtension):
    """What refuses names that it does not know says so."""

    target_class = "workflows.api.base.strict_fields.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Description:
        """The serializer as it would be, closed."""
        drawn: Description = auto_schema._map_serializer(
            self.target, direction, bypass_extensions=True
        )
        return {**drawn, "additionalProperties": False}


def complete(result: Description, **_: Any) -> Description:
    """Add to a description what all its routes share (a hook of ``drf-spectacular``)."""
    components = result["components"]
    for name, described in components["schemas"].items():
        _add_description(described, schema_descriptions.SCHEMAS, name.removeprefix("Patched"))
    components["schemas"] |= SCHEMAS
    components["headers"] = HEADERS
    components["responses"] = {_name(status): _problem(status) for status in ERRORS}
    for path, method, operation in _operations(result):
        _rename(path, method, operation)
        _add_description(operation, schema_descriptions.OPERATIONS, operation["operationId"])
        _add_tried(operation)
        _add_examples(operation)
        _add_views(components["schemas"], path, method, operation)
        _add_unchanged(operation)
        _add_errors(path, method, operation)
        _add_headers(result["paths"], path, method, operation)
    _add_links(result["paths"])
    _put_right(result)
    return result


def _operations(result: Description) -> Iterator[tuple[str, str, Operation]]:
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _rename(path: str, method: str, operation: Operation) -> None:
    """``executions_submit`` is what a client would call it: nothing is created by such a name."""
    words = [word for word in path.split("/")[3:] if word and not word.startswith("{")]
    name = operation["operationId"]
    if method == "post" and len(words) > 1 and name.endswith("_create"):
        operation["operationId"] = name.removesuffix("_create")


def _add_description(described: Description, texts: Mapping[str, str], name: str) -> None:
    """Describe an operation or a schema, behind its first member."""
    if name in texts:
        (first, value), *others = described.items()
        described.clear()
        described |= {first: value, "description": texts[name], **dict(others)}


def _parameters(operation: Operation, place: str) -> dict[str, Description]:
    return {row["name"]: row for row in operation.get("parameters", ()) if row["in"] == place}


def _add_tried(operation: Operation) -> None:
    """What is only tried is answered 200, whatever it would have been."""
    responses = operation["responses"]
    if "dry_run" in _parameters(operation, "query") and "204" not in responses:
        made = responses.get("201") or responses.get("202") or responses["200"]
        responses.setdefault("200", {**made, "description": "What would be answered."})


def _add_views(schemas: Description, path: str, method: str, operation: Operation) -> None:
    """A row can be had in part, and a list as CSV."""
    is_list = "page" in _parameters(operation, "query")
    if not is_list and (method != "get" or not path.endswith("}/")):
        return
    content = operation["responses"]["200"]["content"]
    whole = content[JSON]["schema"]
    row, part = whole, "Part"
    if is_list:
        content["text/csv"] = {"schema": _TEXT}
        row, part = schemas[_referred(whole)]["properties"]["results"]["items"], "PageOfParts"
    content[JSON]["schema"] = {"anyOf": [whole, {"$ref": f"#/components/schemas/{part}"}]}
    operation["parameters"].append(
        {
            "in": "query",
            "name": sparse_fields.NAME,
            "description": sparse_fields.MEANING,
            "style": "form",
            "explode": False,
            "schema": {
                "type": "array",
                "minItems": 1,
                "items": {"enum": list(schemas[_referred(row)]["properties"])},
            },
        }
    )


# Errors


def _name(status: int) -> str:
    return status_phrase(status).replace(" ", "")


def _problem(status: int) -> Description:
    answer: Description = {
        "description": ERRORS[status],
        "content": {
            CONTENT_TYPE: {
                "schema": {"$ref": f"#/components/schemas/{PROBLEM}"},
                "examples": {PROBLEM: {"value": EXAMPLES[f"{PROBLEM} {status}"]}},
            }
        },
    }
    if status in (409, 429, 503):
        answer["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return answer


def _add_unchanged(operation: Operation) -> None:
    if "If-None-Match" in _parameters(operation, "header"):
        operation["responses"]["304"] = {"description": "It is still what is known."}


def _add_errors(path: str, method: str, operation: Operation) -> None:
    for status in sorted(_errors(path, method, operation)):
        reference = {"$ref": f"#/components/responses/{_name(status)}"}
        operation["responses"].setdefault(str(status), reference)
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _errors(path: str, method: str, operation: Operation) -> set[int]:
    """The statuses of the problems that an operation can answer, by what it takes."""
    headers, query = _parameters(operation, "header"), _parameters(operation, "query")
    found = {400, 415, 429, 503} | ({404} if "{" in path else set())
    if "X-Holdfast-Signature" in headers:
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
    asked, query = _parameters(operation, "header"), _parameters(operation, "query")
    for status, response in operation["responses"].items():
        if not status.startswith("2"):
            continue
        names = []
        if status in ("200", "201") and _has_etag(paths, path, method, operation):
            names.append("ETag")
        if status == "202":
            names.append("Location")
        if "Idempotency-Key" in asked:
            names.append("Idempotency-Replayed")
        if "dry_run" in query and status in ("200", "204"):
            names.append("Dry-Run")
        if names:
            response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _has_etag(paths: Description, path: str, method: str, operation: Operation) -> bool:
    """Whether what is answered is what an edit, or another look, can be based on."""
    if {"If-Match", "If-None-Match"} & _parameters(operation, "header").keys():
        return True
    place = path if method == "get" else _row_of(path)
    edits = paths.get(place, {}).values()
    return any("If-Match" in _parameters(row, "header") for row in edits)


def _row_of(collection: str) -> str:
    """The address of one row of a collection."""
    return f"{collection}{{cuid}}/"


# Examples


def _add_examples(operation: Operation) -> None:
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for body in bodies:
        for media, content in body.get("content", {}).items():
            name = _referred(content.get("schema", {})).removeprefix("Patched")
            if media == JSON and name in EXAMPLES:
                content.setdefault("examples", {name: {"value": EXAMPLES[name]}})
            elif media == JSON and name.startswith("Paginated"):
                row = EXAMPLES.get(name.removeprefix("Paginated").removesuffix("List"))
                if row is not None:
                    content.setdefault("examples", {name: {"value": _page_of(row)}})


def _page_of(row: Any) -> Description:
    return {"count": 1, "next": None, "previous": None, "results": [row]}


def _referred(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


# Links


def _add_links(paths: Description) -> None:
    """From what creates a row to whatever can be done with it."""
    for collection, methods in paths.items():
        made = methods.get("post", {}).get("responses", {}).get("201")
        if made is None or _row_of(collection) not in paths:
            continue
        made["links"] = {
            operation["operationId"]: {
                "operationId": operation["operationId"],
                "parameters": {"cuid": "$response.body#/cuid"},
            }
            for path, row in paths.items()
            if path.startswith(_row_of(collection)) and path.count("{") == 1
            for operation in row.values()
        }


# What is drawn wrongly


def _put_right(drawn: Any) -> None:
    """Any JSON, or null, is any JSON; and the description is the same on every database."""
    if isinstance(drawn, dict):
        if {} in drawn.get("oneOf", ()):
            del drawn["oneOf"]
        if drawn.get("readOnly") and drawn.get("type") == "integer":
            # How far a column reaches is the database's.
            for name in ("minimum", "maximum", "format"):
                drawn.pop(name, None)
        for value in drawn.values():
            _put_right(value)
    elif isinstance(drawn, list):
        for value in drawn:
            _put_right(value)
