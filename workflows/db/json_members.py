"""Conditions on a member of a JSON object: on its value as a text, a number or a boolean.

A comparison only holds for values of its type: JSON has no order between a text and a number, and
the two databases have different ones.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import BooleanField, Field, FloatField, Func, TextField


class JSONMember(Func):
    """The value of a member of an object with one JSON type; null for other types."""

    arity = 1
    # SQLite: the name of the type in ``json_each``; PostgreSQL: in ``jsonb_typeof``, and a cast.
    sqlite_types: ClassVar[str]
    postgresql_type: ClassVar[str]
    postgresql_cast: ClassVar[str]

    def __init__(self, column: str, name: str, output_field: Field[Any, Any]) -> None:
        super().__init__(column, output_field=output_field)
        self.name = name

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return the SQL for SQLite, which takes any name of a member."""
        column, params = compiler.compile(self.source_expressions[0])
        sql = (
            f"(SELECT CASE WHEN member.type IN ({self.sqlite_types}) THEN member.value END"
            f" FROM json_each({column}) member WHERE member.key = %s)"
        )
        return sql, (*params, self.name)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return the SQL for PostgreSQL."""
        column, params = compiler.compile(self.source_expressions[0])
        sql = (
            f"(CASE WHEN jsonb_typeof({column} -> %s::text) = '{self.postgresql_type}'"
            f" THEN ({column} ->> %s::text){self.postgresql_cast} END)"
        )
        return sql, (*params, self.name, *params, self.name)


class TextMember(JSONMember):
    """A text, in the order of its characters on both databases."""

    sqlite_types = "'text'"
    postgresql_type = "string"
    postgresql_cast = ' COLLATE "C"'

    def __init__(self, column: str, name: str) -> None:
        super().__init__(column, name, TextField())


class NumberMember(JSONMember):
    """A number."""

    sqlite_types = "'integer', 'real'"
    postgresql_type = "number"
    postgresql_cast = "::numeric"

    def __init__(self, column: str, name: str) -> None:
        super().__init__(column, name, FloatField())


class BooleanMember(JSONMember):
    """A boolean."""

    sqlite_types = "'true', 'false'"
    postgresql_type = "boolean"
    postgresql_cast = "::boolean"

    def __init__(self, column: str, name: str) -> None:
        super().__init__(column, name, BooleanField())


class MemberType(Func):
    """The JSON type of a member; null if the object has none of this name, or null."""

    arity = 1
    output_field = TextField()

    def __init__(self, column: str, name: str) -> None:
        super().__init__(column)
        self.name = name

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return the SQL for SQLite."""
        column, params = compiler.compile(self.source_expressions[0])
        sql = f"(SELECT NULLIF(member.type, 'null') FROM json_each({column}) member"
        return f"{sql} WHERE member.key = %s)", (*params, self.name)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return the SQL for PostgreSQL."""
        column, params = compiler.compile(self.source_expressions[0])
        return f"NULLIF(jsonb_typeof({column} -> %s::text), 'null')", (*params, self.name)
