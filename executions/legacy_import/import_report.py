"""What an import has done, and what it could not decide."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Undecided:
    """What could not be decided: which row of the file, where it stands there, and the choice."""

    kind: str
    id: str
    pointer: str
    detail: str
    choice: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A row that has another type than in the file: the one that what runs began with, or that an
    operator chose (``chosen``).
    """

    kind: str
    id: str
    cuid: str
    title: str
    type: str
    later: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Revived:
    """A live execution that was stuck: why, and where it stands and goes on."""

    id: str
    cuid: str
    workflow: str
    why: str
    stands: list[str]


@dataclass(frozen=True, slots=True)
class LaterType:
    """A type that was given later: on hold as the change ``cuid``, made, or why it is neither."""

    type: str
    workflows: list[str]
    outcome: str
    cuid: str
    detail: str


@dataclass(slots=True)
class Report:
    """What came of an import; ``done`` says whether anything may be brought in as it is.

    ``brought``, ``known`` and ``left_out`` count rows by their kind: those that are in now, that
    were in before, and that were left out with what is undecided.
    """

    done: bool = True
    brought: dict[str, int] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    taken_back: list[TakenBack] = field(default_factory=list)
    revived: list[Revived] = field(default_factory=list)
    later: list[LaterType] = field(default_factory=list)
    undecided: list[Undecided] = field(default_factory=list)

    def count(self, where: dict[str, int], kind: str, number: int) -> None:
        """Add so many rows of a kind to one of the three counts."""
        if number:
            where[kind] = where.get(kind, 0) + number
