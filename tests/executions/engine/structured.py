"""Random graphs made of blocks with a clear meaning: each fork and each race has its own join.

The join of a race needs all branches but one, and cancels that.

``Blocks`` makes the blocks, ``source_of`` makes their graph, and ``Meaning`` computes the offered
forms from the blocks alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.executions.engine.test_branches import source

Exit = str
"""A node, or a node and its handle: ``ask`` or ``ask.yes``."""


@dataclass(frozen=True)
class Block:
    """A part of a workflow: a form, row, fork, race, choice or loop, with its inner blocks."""

    kind: str
    name: str
    parts: tuple[Block, ...] = ()

    def all(self) -> Iterator[Block]:
        """Return the block and all blocks in it."""
        yield self
        for part in self.parts:
            yield from part.all()


class Blocks:
    """A generator of random blocks, nested up to a depth."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.count = 0

    def block(self, depth: int = 4) -> Block:
        """Return a random block."""
        kind = self.random.choices(
            ("form", "row", "fork", "race", "choice", "loop"),
            (30, 25, 20, 10, 10, 10) if depth else (1,) * 6,
        )[0]
        kind = kind if depth else "form"
        number = {"form": 0, "loop": 1, "choice": 2}.get(kind) or self.random.choice((2, 2, 3))
        parts = () if kind == "form" else tuple(self.block(depth - 1) for _ in range(number))
        self.count += 1
        return Block(kind, f"{kind}{self.count}", parts)


def source_of(block: Block) -> dict[str, Any]:
    """Return the source of a block."""
    nodes: dict[str, Any] = {"start": "start"}
    edges: list[str] = []
    exits = _draw(block, ["start"], nodes, edges)
    nodes["end"] = "end"
    return source(nodes, *edges, *(f"{exit_}>end" for exit_ in exits))


def _draw(block: Block, exits: list[Exit], nodes: dict[str, Any], edges: list[str]) -> list[Exit]:
    name, parts = block.name, block.parts
    if block.kind == "row":
        for part in parts:
            exits = _draw(part, exits, nodes, edges)
        return exits
    if block.kind in ("fork", "race"):
        needed = {"needed": len(parts) - 1, "others": "cancel"} if block.kind == "race" else {}
        nodes[name], nodes[f"{name}_join"] = "parallel", {"type": "join", "data": needed}
        edges += [f"{exit_}>{name}" for exit_ in exits]
        ends = [end for part in parts for end in _draw(part, [name], nodes, edges)]
        edges += [f"{end}>{name}_join" for end in ends]
        return [f"{name}_join"]
    if block.kind == "loop":
        # A node marks the place if a loop begins where a block ends with an exit of its own.
        nodes[f"{name}_again"] = {"type": "set_state", "data": {"state": name}}
        edges += [f"{exit_}>{name}_again" for exit_ in exits]
        exits = _draw(parts[0], [f"{name}_again"], nodes, edges)
    nodes[name] = {
        "type": "user_action",
        "data": {"fields": [{"name": name, "type": "checkbox"}]},
    }
    edges += [f"{exit_}>{name}" for exit_ in exits]
    if block.kind == "form":
        return [name]
    rule = {"field": name, "op": "eq", "value": True}
    nodes[f"{name}_ask"] = {
        "type": "condition",
        "data": {"branches": [{"handle": "yes", "rule": rule}]},
    }
    edges.append(f"{name}>{name}_ask")
    if block.kind == "loop":
        edges.append(f"{name}_ask.yes>{name}_again")
        return [f"{name}_ask.default"]
    first = _draw(parts[0], [f"{name}_ask.yes"], nodes, edges)
    return first + _draw(parts[1], [f"{name}_ask.default"], nodes, edges)


@dataclass
class Meaning:
    """The state of a block."""

    block: Block
    parts: list[Meaning] = field(default_factory=list)
    done: bool = False

    def __post_init__(self) -> None:
        """Enter the block."""
        if self.block.kind in ("row", "loop"):
            self.parts = [Meaning(self.block.parts[0])]
        elif self.block.kind in ("fork", "race"):
            self.parts = [Meaning(part) for part in self.block.parts]

    @property
    def offered(self) -> list[str]:
        """Return the offered forms, sorted."""
        if self.done:
            return []
        if self.parts:
            return sorted(name for part in self.parts for name in part.offered)
        return [self.block.name]

    def submit(self, name: str, *, answer: bool) -> None:
        """Submit an offered form."""
        kind, parts = self.block.kind, self.block.parts
        inner = next((part for part in self.parts if name in part.offered), None)
        if inner is not None:
            inner.submit(name, answer=answer)
            left = sum(not part.done for part in self.parts)
            if left > (kind == "race"):
                return
            if kind == "loop":
                self.parts = []
            elif kind == "row" and len(self.parts) < len(parts):
                self.parts.append(Meaning(parts[len(self.parts)]))
            else:
                self.done = True
        elif kind == "choice":
            self.parts = [Meaning(parts[0 if answer else 1])]
        elif kind == "loop" and answer:
            self.parts = [Meaning(parts[0])]
        else:
            self.done = True
