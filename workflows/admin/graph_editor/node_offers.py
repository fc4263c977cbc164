"""The values that the pickers of a form offer: of a node, or of the settings of a trigger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django.contrib.auth.models import Group

from workflows import running
from workflows.admin.graph_editor.data_inputs import Options, Schema
from workflows.admin.graph_editor.offers import Offers
from workflows.graph import node_types
from workflows.graph.edit_steps import Source, node_data
from workflows.models import Workflow, call_queries

MAX_OFFERED = 500
"""The maximum number of values that a picker offers."""
GROUP, USER, SECRET, CALLEE = "group-name", "username", "secret-name", "workflow-cuid"
FIELD, VARIABLE, VALUE = "field-name", "variable-name", "value-name"
_CHOSEN = {SECRET, CALLEE}
"""Values that must exist: a list to choose from."""


def data_schema(node: Mapping[str, Any]) -> Schema:
    """Return the schema for the data of a node; without properties for an unknown type."""
    node_type = node_types().get(str(node.get("type")))
    return {"properties": {}} if node_type is None else node_type.data_schema.text


def node_offers(workflow: Workflow, source: Source, node: Mapping[str, Any], user: Any) -> Offers:
    """Return the values that the form of a node offers.

    Args:
        source: the graph. Its nodes before this one write fields and variables.
        user: the user, who is offered only names that they may view.
    """
    return find_offers(workflow, data_schema(node), user, _written_before(source, node))


def find_offers(
    workflow: Workflow, schema: Schema, user: Any, written: Iterable[str] = ()
) -> Offers:
    """Return the values that a form with this schema offers. One statement per kind of value.

    Args:
        workflow: the workflow. It need not be saved.
        written: the names of further fields, and of variables with ``$``.
    """
    formats, names = set(_find_formats(schema)), set(written)
    if formats & {FIELD, VALUE}:
        names |= running.registered.field_names(workflow, user)
    fields = [name for name in sorted(names) if not name.startswith("$")]
    variables = [name for name in sorted(names) if name.startswith("$")]
    find: dict[str, Callable[[], Options]] = {
        GROUP: lambda: _named(
            Group.objects.order_by("name").values_list("name", flat=True)[:MAX_OFFERED]
        ),
        USER: lambda: _named(running.registered.assignable_usernames(MAX_OFFERED)),
        SECRET: lambda: _named(running.registered.secret_names(user, MAX_OFFERED)),
        CALLEE: lambda: callees(workflow),
        FIELD: lambda: _named(fields),
        VARIABLE: lambda: _named(name[1:] for name in variables),
        VALUE: lambda: _named([*fields, *variables]),
    }
    found = {name: find[name]() for name in sorted(formats & find.keys())}
    # A list that was cut off, or that the user may not see, must not hide the other values.
    chosen = {name for name in found if name in _CHOSEN and 0 < len(found[name]) < MAX_OFFERED} | (
        {CALLEE} & found.keys()
    )
    return Offers(
        {name: found[name] for name in found if name in chosen},
        {name: found[name] for name in found if name not in chosen and found[name]},
    )


def _named(names: Iterable[str]) -> Options:
    return [(name, name) for name in names]


def _find_formats(schema: Any) -> Iterator[str]:
    """Yield the formats in a schema, repeatedly."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("format"), str):
            yield schema["format"]
        for key, inner in schema.items():
            if key not in ("examples", "default"):
                yield from _find_formats(inner)
    elif isinstance(schema, (list, tuple)):
        for inner in schema:
            yield from _find_formats(inner)


def _written_before(source: Source, node: Mapping[str, Any]) -> set[str]:
    """Return the fields and variables that the nodes before a node write; their data may be
    unsound.
    """
    edges = [edge for edge in source["edges"] if isinstance(edge, Mapping)]
    before, ahead = set[str](), [str(node["id"])]
    while ahead:
        key = ahead.pop()
        found = {str(one.get("source")) for one in edges if one.get("target") == key} - before
        before |= found
        ahead += found
    names: set[str] = set()
    for row in source["nodes"]:
        node_type = node_types().get(str(row.get("type")))
        if row.get("id") in before and node_type is not None:
            data = node_data(row)
            if not node_type.data_schema.problems(data):
                names |= set(node_type.written_names(data))
    return names


def callees(workflow: Workflow) -> Options:
    """Return the workflows that a workflow can call, as pairs of cuid and title.

    They have the same entity context, are not retired and do not call the workflow themselves.
    """
    rows = Workflow.objects.filter(context_key=workflow.context.key)
    rows = rows.exclude(state=Workflow.State.RETIRED)
    rows = rows.exclude(pk__in=call_queries.follow_calls([workflow.pk], "callers"))
    labels = dict(Workflow.State.choices)
    callable_rows = rows.order_by("title", "pk").values_list("cuid", "title", "state")[:MAX_OFFERED]
    return [
        (cuid, title if state == "active" else f"{title} ({labels[state]})")
        for cuid, title, state in callable_rows
    ]
