"""Deciding what the old system never wrote down: the type that each version was drawn for.

What a live execution works on proves the type that it began with, and so do the changes of type
that the file tells of. Caller and callee agreed when it began, so that one such proof holds for
all that stands together: by the calls of latest versions, and of those that live executions run
or will call. Where nothing runs, the workflows have the type that they have. Two proofs that do
not agree decide nothing: an operator does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from executions.integrity.frozen import on_a_cycle
from executions.legacy_import.components import Part, called_by, source_for, together
from executions.legacy_import.import_report import Undecided
from executions.legacy_import.old_rows import (
    EntityId,
    Old,
    OldExecution,
    OldVersion,
    Type,
    type_then,
)
from workflows.db.json_values import below, quoted
from workflows.graph import Graph, WorkflowValidationError, parse
from workflows.models import Workflow

VersionId = tuple[str, int]
RETIRED = Workflow.State.RETIRED.value
MEND_GRAPH = "Mend the graph in the file, or in the old system."
END_IT = "End it in the old system, or tell in the file where it stands."


@dataclass(frozen=True, slots=True)
class Later:
    """A type that workflows of one group were given after what runs there had begun."""

    type: Type
    workflows: list[str]


@dataclass(slots=True)
class Decided:
    """All that a part needs to come in; types by old ids. ``chosen``: the workflows whose type an
    operator chose.
    """

    part: Part
    types: dict[str, Type] = field(default_factory=dict)
    version_types: dict[VersionId, Type] = field(default_factory=dict)
    entity_types: dict[EntityId, Type] = field(default_factory=dict)
    sources: dict[VersionId, dict[str, Any]] = field(default_factory=dict)
    in_force: set[VersionId] = field(default_factory=set)
    pins: dict[str, dict[str, int]] = field(default_factory=dict)
    stuck: dict[str, str] = field(default_factory=dict)
    later: list[Later] = field(default_factory=list)
    chosen: set[str] = field(default_factory=set)
    undecided: list[Undecided] = field(default_factory=list)


def decide(part: Part, old: Old) -> Decided:
    """Decide a part; what could not be decided stands in ``undecided``."""
    return _Deciding(part, old).decide()


class _Deciding:
    def __init__(self, part: Part, old: Old) -> None:
        self.part = part
        self.old = old
        self.found = Decided(part)
        self.graphs: dict[VersionId, Graph] = {}
        self.calls: dict[VersionId, list[str]] = {}
        self.live = [old.executions[pk] for pk in part.executions if old.executions[pk].is_live]
        self.roots = [row for row in self.live if row.parent is None]

    def decide(self) -> Decided:
        self._graphs()
        if not self.found.undecided:
            self._places()
        if not self.found.undecided:
            self._closures()
        if not self.found.undecided:
            self._types()
        if not self.found.undecided:
            self._what_ended()
        return self.found

    def _versions(self) -> Iterator[OldVersion]:
        for pk in self.part.workflows:
            yield from self.old.workflows[pk].versions.values()

    def _undecided(self, kind: str, old_id: str, at: str, detail: str, choice: str) -> None:
        self.found.undecided.append(Undecided(kind, old_id, at, detail, choice))

    # Graphs

    def _graphs(self) -> None:
        for version in self._versions():
            key = (version.workflow, version.number)
            source = self.found.sources[key] = source_for(version, self.old)
            callees = called_by(version)
            self.calls[key] = [callee for _, callee in callees if callee in self.old.workflows]
            for place, callee in callees:
                if callee not in self.old.workflows:
                    pointer = f"/nodes/{place}/data/workflow"
                    self._flawed(version, pointer, f"No workflow has the id {quoted(callee)}.")
            try:
                is_latest = version is self.old.workflows[version.workflow].latest
                self.graphs[key] = parse(source, is_new=is_latest)
            except WorkflowValidationError as refusal:
                for problem in refusal.problems:
                    self._flawed(version, problem.pointer, problem.detail)
        latest = {pk: self.old.workflows[pk].latest for pk in self.part.workflows}
        self._refuse_cycle(
            {pk: set(self.calls[pk, version.number]) for pk, version in latest.items()}
        )

    def _flawed(self, version: OldVersion, pointer: str, detail: str) -> None:
        at = f"{version.at}/source{pointer}"
        self._undecided("workflow", version.workflow, at, detail, MEND_GRAPH)

    def _refuse_cycle(self, calls: dict[str, set[str]]) -> None:
        for pk in sorted(on_a_cycle(calls)):
            row = self.old.workflows[pk]
            detail = f"“{row.title}” calls itself, through others or not."
            self._undecided("workflow", pk, row.at, detail, MEND_GRAPH)

    # Where what is live stands

    def _places(self) -> None:
        for row in self.live:
            for at, detail in self._misplaced(row):
                self._undecided("execution", row.id, at, detail, END_IT)

    def _misplaced(self, row: OldExecution) -> Iterator[tuple[str, str]]:
        if row.status == "scheduled":
            if row.parent is not None:
                yield below(row.at, "status"), "What another has called is not scheduled."
            if row.scheduled_for is None:
                yield below(row.at, "scheduled_for"), "It is scheduled, but not for when."
        elif not row.places:
            detail = f"It is {row.status}, but the file does not tell where it stands."
            yield below(row.at, "current_nodes"), detail
        graph = self.graphs[row.workflow, row.version]
        for place in row.places:
            node = graph.nodes.get(place.node)
            if node is None:
                at = below(place.at, "node")
                yield at, f"It stands at {quoted(place.node)}, which its version has not."
            elif place.child is not None:
                callee = self.old.executions[place.child].workflow
                if node.data.get("workflow") != self.old.workflow_cuid(callee):
                    at = below(place.at, "child")
                    yield at, f"Node {quoted(place.node)} does not call workflow {callee}."
        if row.parent is None:
            return
        above = self.old.executions[row.parent]
        if not above.is_live:
            detail = f"It is {row.status}, but {above.id}, which called it, has ended."
            yield below(row.at, "parent"), detail
        elif row.id not in [place.child for place in above.places]:
            yield below(row.at, "parent"), f"Execution {above.id} does not stand where it calls it."
        if row.entity != above.entity:
            yield row.at, f"It works on another entity than {above.id}, which called it."

    # What a live root runs: its version, and one of each workflow that it can call

    def _closures(self) -> None:
        for workflow in (self.old.workflows[pk] for pk in self.part.workflows):
            if workflow.state != RETIRED:
                self.found.in_force.add((workflow.id, workflow.latest.number))
        below_root: dict[str, list[OldExecution]] = {}
        for row in self.live:
            below_root.setdefault(self.old.root(row).id, []).append(row)
        for root in self.roots:
            children = [row for row in below_root[root.id] if row.parent is not None]
            self._closure(root, children)

    def _closure(self, root: OldExecution, children: list[OldExecution]) -> None:
        running: dict[str, int] = {}
        for child in children:
            if running.setdefault(child.workflow, child.version) != child.version:
                detail = f"What it has called runs two versions of workflow {child.workflow}."
                self._undecided("execution", root.id, root.at, detail, END_IT)
                return
        pins: dict[str, int] = {}
        calls: dict[str, set[str]] = {}
        due = [(root.workflow, root.version)]
        while due:
            key = due.pop()
            calls[key[0]] = set(self.calls[key])
            for callee in self.calls[key]:
                if callee not in pins and callee != root.workflow:
                    latest = self.old.workflows[callee].latest_then(root.started_at)
                    pins[callee] = running.get(callee, latest.number)
                    due.append((callee, pins[callee]))
        if on_a_cycle(calls):
            detail = "What it can call would call itself."
            self._undecided("execution", root.id, root.at, detail, END_IT)
        for callee in sorted(set(running) - set(pins)):
            detail = f"It has called workflow {callee}, which what it runs does not."
            self._undecided("execution", root.id, root.at, detail, END_IT)
        self.found.pins[root.id] = pins
        self.found.in_force |= {(root.workflow, root.version), *pins.items()}
        self._whether_stuck(root, calls)

    def _whether_stuck(self, root: OldExecution, calls: dict[str, set[str]]) -> None:
        for caller, callees in calls.items():
            for callee in sorted(callees):
                own, other = (self.old.workflows[pk].type for pk in (caller, callee))
                if own != other:
                    self.found.stuck[root.id] = (
                        f"Workflow {caller} has {self.old.named(own)} now, and workflow {callee}, "
                        f"which it calls, {self.old.named(other)}."
                    )
                    return

    # Types

    def _types(self) -> None:
        pairs = [(pk, callee) for pk, n in self.found.in_force for callee in self.calls[pk, n]]
        for group in together(self.part.workflows, pairs):
            self._type_of(group)
        if self.found.undecided:
            return
        wanted: dict[EntityId, set[Type]] = {}
        for row in self.live:
            wanted.setdefault(row.entity, set()).add(self.found.types[row.workflow])
        for pk in self.part.entities:
            entity = self.old.entities[pk]
            types = sorted(wanted.get(pk, {entity.type}))
            self.found.entity_types[pk] = types[0]
            if len(types) > 1:
                named = " and ".join(self.old.named(kind) for kind in types)
                self._undecided(
                    "entity",
                    pk[1],
                    entity.at,
                    f"What runs on {entity.name} began with different types: {named}.",
                    "End one of them in the old system, or give their workflows one type.",
                )
            elif types[0].entity_name != pk[0]:
                detail = f"What runs on {entity.name} works on the other kind of entity."
                self._undecided("entity", pk[1], entity.at, detail, END_IT)

    def _type_of(self, group: list[str]) -> None:
        workflows = [self.old.workflows[pk] for pk in group]
        live = [row for row in self.live if row.workflow in set(group)]
        decided = {self.old.decided[pk] for pk in group if pk in self.old.decided}
        proofs = list(dict.fromkeys(proof for row in live for proof in self._proofs(row)))
        told = proofs or [
            (row.type, f"workflow {row.id} “{row.title}” has {self.old.named(row.type)}")
            for row in workflows
        ]
        types = decided or {kind for kind, _ in told}
        if len(types) > 1:
            self._disagree(group, [sentence for _, sentence in told])
            return
        kind = types.pop()
        self.found.types.update(dict.fromkeys(group, kind))
        if decided:
            self.found.chosen.update(group)
        if live:
            others: dict[Type, list[str]] = {}
            for row in workflows:
                if row.type != kind and row.state != RETIRED:
                    others.setdefault(row.type, []).append(row.id)
            self.found.later += [Later(other, ids) for other, ids in others.items()]

    def _proofs(self, row: OldExecution) -> Iterator[tuple[Type, str]]:
        entity = self.old.entities[row.entity]
        kind = type_then(entity.type, entity.changes, row.started_at)
        then = "had" if kind != entity.type else "has"
        sentence = f"execution {row.id} works on {entity.name}, which {then} {self.old.named(kind)}"
        yield kind, sentence
        pins = self.found.pins.get(row.id, {})
        for pk in (row.workflow, *pins):
            workflow = self.old.workflows[pk]
            if workflow.changes:
                kind = type_then(workflow.type, workflow.changes, row.started_at)
                named = self.old.named(kind)
                yield kind, f"workflow {pk} had {named} when execution {row.id} began"

    def _disagree(self, group: list[str], sentences: list[str]) -> None:
        titles = ", ".join(f"{pk} “{self.old.workflows[pk].title}”" for pk in group)
        shown = "; ".join(sentences[:8]) + ("; …" if len(sentences) > 8 else "")
        self._undecided(
            "workflow",
            group[0],
            self.old.workflows[group[0]].at,
            f"Which type these workflows began with cannot be told ({titles}): {shown}.",
            f"Say which type it is: --context {group[0]}=TYPE, or end what runs in the old system.",
        )

    # What nothing live holds any more

    def _what_ended(self) -> None:
        ran: dict[VersionId, set[Type]] = {}
        for pk in self.part.executions:
            row = self.old.executions[pk]
            entity = self.old.entities[row.entity]
            kind = type_then(entity.type, entity.changes, row.started_at)
            ran.setdefault((row.workflow, row.version), set()).add(kind)
        for version in self._versions():
            key = (version.workflow, version.number)
            workflow = self.old.workflows[version.workflow]
            kind = self.found.types[version.workflow]
            if key not in self.found.in_force:
                types = ran.get(key, set())
                if len(types) == 1:
                    kind = next(iter(types))
                elif workflow.changes and version.created_at is not None:
                    kind = type_then(workflow.type, workflow.changes, version.created_at)
            self.found.version_types[key] = kind
