"""Mutation operator that replaces a call or a ``raise`` by ``pass``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import Keyword

REMOVED = {"raise_stmt", "atom_expr", "power"}
"""Node types of parso for ``raise`` and calls. Without an assignment, a NameError follows."""


class RemoveStatement(Operator):  # type: ignore[misc]
    """Replace a call that is a statement, or a ``raise``, by ``pass``."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        is_statement = node.parent is not None and node.parent.type == "simple_stmt"
        if is_statement and node.type in REMOVED:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        return Keyword("pass", node.start_pos, prefix=node.get_first_leaf().prefix)

    @classmethod
    def examples(cls) -> tuple[Any, ...]:
        return (Example("def f():\n    g()\n", "def f():\n    pass\n"),)


class Provider:
    """The provider of this operator for cosmic-ray."""

    _operators = {"RemoveStatement": RemoveStatement}

    def __iter__(self) -> Iterator[str]:
        return iter(self._operators)

    def __getitem__(self, name: str) -> type[Any]:
        return self._operators[name]
