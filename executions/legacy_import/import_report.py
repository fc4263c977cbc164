"""The report of an import: counts, type changes, stranded executions, undecided rows."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class UndecidedRow:
    """A row whose type or state cannot be inferred.

    ``pointer`` is its JSON pointer in the file, ``remedy`` what an operator can do.
    """

    model: str
    id: str
    pointer: str
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class RetypedRow:
    """A row with another type than in the file (``later``).

    It has the type that its live executions started with or, if ``chosen``, the operator's.
    """

    model: str
    id: str
    cuid: str
    title: str
    type: str
    later: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class ResumedExecution:
    """A live execution that was stranded: the reason, and the labels of its current steps."""

    id: str
    cuid: str
    workflow: str
    why: str
    current_steps: list[str]


@dataclass(frozen=True, slots=True)
class LaterType:
    """A later type of workflows. ``outcome`` is ``on_hold``, ``applied`` or ``refused``.

    ``cuid`` is that of the pending change, ``detail`` the reason or what happens next.
    """

    type: str
    workflows: list[str]
    outcome: str
    cuid: str
    detail: str


@dataclass(slots=True)
class Report:
    """The result of an import. ``done`` is False if undecided rows prevented it.

    ``imported``, ``existing`` and ``skipped`` count rows by model: the rows written now, the rows
    imported before, and the rows left out because they are connected with undecided ones.
    """

    done: bool = True
    imported: dict[str, int] = field(default_factory=dict)
    existing: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    retyped: list[RetypedRow] = field(default_factory=list)
    resumed: list[ResumedExecution] = field(default_factory=list)
    later_types: list[LaterType] = field(default_factory=list)
    undecided: list[UndecidedRow] = field(default_factory=list)

    def count(self, counts: dict[str, int], model: str, number: int) -> None:
        """Add rows of a model to one of the three counts."""
        if number:
            counts[model] = counts.get(model, 0) + number
