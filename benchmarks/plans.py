"""Query plans of statements, and the tables that they scan."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

TABLES = (
    "executions_execution",
    "executions_step",
    "workflows_version",
    "workflows_reference",
    "workflows_workflow",
)
_PLANNED = ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH", "EXECUTE")
_NAMED = re.compile(r'(?:FROM|JOIN|UPDATE|,)\s+"?(\w+)"?(?:\s+(?:AS\s+)?"?(\w+)"?)?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Planned:
    """A statement, the lines of its plan, and the tables that it scans."""

    sql: str
    lines: list[str]
    scans: list[str]


@contextmanager
def planned() -> Iterator[list[Planned]]:
    """Record the plan of each statement before it runs."""
    from django.db import connection

    found: list[Planned] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip("( ").startswith(_PLANNED) and not many:
            found.append(_explained(context["connection"], sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield found


def _explained(connection: Any, sql: str, params: Any) -> Planned:
    read = _postgresql if connection.vendor == "postgresql" else _sqlite
    # Without the wrappers, which would explain this statement too.
    with (
        connection.connection.cursor()
        if connection.vendor == "postgresql"
        else _Plain(connection) as cursor
    ):
        return read(cursor, sql, params)


class _Plain:
    """Django's cursor of SQLite, which converts parameters, without the wrappers."""

    def __init__(self, connection: Any) -> None:
        self.cursor = connection.create_cursor()

    def __enter__(self) -> Any:
        return self.cursor

    def __exit__(self, *error: object) -> None:
        self.cursor.close()


def _postgresql(cursor: Any, sql: str, params: Any) -> Planned:
    cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
    [[document]] = cursor.fetchall()
    document = json.loads(document) if isinstance(document, str) else document
    lines: list[str] = []
    scans: list[str] = []

    def walk(node: dict[str, Any], depth: int) -> None:
        table = node.get("Relation Name")
        parts = [node["Node Type"]]
        parts += [f"on {table}"] if table else []
        parts += [f"using {node['Index Name']}"] if "Index Name" in node else []
        parts += [f"{label}: {node[label]}" for label in ("Index Cond", "Filter") if label in node]
        lines.append("  " * depth + " ".join(parts))
        # An index without a condition is scanned completely too.
        in_full = node["Node Type"] == "Seq Scan" or (
            node["Node Type"] in ("Index Scan", "Index Only Scan", "Bitmap Index Scan")
            and "Index Cond" not in node
        )
        of_table = table in TABLES or node.get("Index Name", "").startswith(TABLES)
        if of_table and in_full:
            scans.append(f"{table or node['Index Name']} ({node['Node Type']})")
        for child in node.get("Plans", ()):
            walk(child, depth + 1)

    walk(document[0]["Plan"], 0)
    return Planned(sql, lines, scans)


def _sqlite(cursor: Any, sql: str, params: Any) -> Planned:
    # Without parameters, Django's cursor does not unescape percent signs.
    cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params if params is not None else ())
    rows = cursor.fetchall()
    names = {alias: table for table, alias in _NAMED.findall(sql) if alias}
    depths = {0: -1}
    lines, scans = [], []
    for pk, parent, _, detail in rows:
        depths[pk] = depths.get(parent, -1) + 1
        lines.append("  " * depths[pk] + detail)
        # A Bloom filter is built from the whole table.
        scanned = re.match(r"(?:SCAN|BLOOM FILTER ON) (\w+)", detail)
        if scanned:
            table = names.get(scanned[1], scanned[1])
            if table in TABLES:
                scans.append(f"{table} ({detail})")
    return Planned(sql, lines, scans)
