"""Inference of the type of each version, which the older system did not store.

The entity of a live execution shows the type that the execution started with, and so do the type
changes in the file. Callers and callees had the same type at the start. Therefore one piece of
evidence applies to all workflows that are connected by the calls of latest versions or of the
versions of live executions. Without live executions, workflows keep their types. If the evidence
is contradictory, an operator decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from executions.integrity.versions import find_cyclic
from executions.legacy_import.components import (
    Component,
    calls_of,
    connected_groups,
    translate_source,
)
from executions.legacy_import.import_report import UndecidedRow
from executions.legacy_import.legacy_rows import (
    EntityId,
    LegacyData,
    LegacyExecution,
    LegacyType,
    LegacyVersion,
    type_at,
)
from workflows.db.json_values import below, quoted
from workflows.graph import Graph, WorkflowValidationError, parse
from workflows.models import Workflow

VersionId = tuple[str, int]
RETIRED = Workflow.State.RETIRED.value
FIX_GRAPH = "Correct the graph in the file, or in the older system."
END_EXECUTION = "End it in the older system, or add its current nodes to the file."


@dataclass(frozen=True, slots=True)
class LaterTypeGroup:
    """A type that workflows of one group got after their live executions had started."""

    type: LegacyType
    workflows: list[str]


@dataclass(slots=True)
class Inference:
    """The inferred types, pins and sources of a component, by old ids.

    ``chosen`` are the workflows whose type an operator chose, ``stranded`` the reasons by root.
    """

    component: Component
    types: dict[str, LegacyType] = field(default_factory=dict)
    version_types: dict[VersionId, LegacyType] = field(default_factory=dict)
    entity_types: dict[EntityId, LegacyType] = field(default_factory=dict)
    sources: dict[VersionId, dict[str, Any]] = field(default_factory=dict)
    in_force: set[VersionId] = field(default_factory=set)
    pins: dict[str, dict[str, int]] = field(default_factory=dict)
    stranded: dict[str, str] = field(default_factory=dict)
    later: list[LaterTypeGroup] = field(default_factory=list)
    chosen: set[str] = field(default_factory=set)
    undecided: list[UndecidedRow] = field(default_factory=list)


def infer_types(component: Component, legacy: LegacyData) -> Inference:
    """Infer the types of a component. Rows without a clear result are in ``undecided``."""
    return _TypeInference(component, legacy).infer_types()


class _TypeInference:
    def __init__(self, component: Component, legacy: LegacyData) -> None:
        self.component = component
        self.legacy = legacy
        self.found = Inference(component)
        self.graphs: dict[VersionId, Graph] = {}
        self.calls: dict[VersionId, list[str]] = {}
        self.live = [
            legacy.executions[pk] for pk in component.executions if legacy.executions[pk].is_live
        ]
        self.roots = [row for row in self.live if row.parent is None]

    def infer_types(self) -> Inference:
        self._parse_graphs()
        if not self.found.undecided:
            self._check_current_nodes()
        if not self.found.undecided:
            self._infer_pins()
        if not self.found.undecided:
            self._infer_all_types()
        if not self.found.undecided:
            self._infer_other_versions()
        return self.found

    def _versions(self) -> Iterator[LegacyVersion]:
        for pk in self.component.workflows:
            yield from self.legacy.workflows[pk].versions.values()

    def _add_undecided(self, model: str, old_id: str, at: str, detail: str, remedy: str) -> None:
        self.found.undecided.append(UndecidedRow(model, old_id, at, detail, remedy))

    # Graphs

    def _parse_graphs(self) -> None:
        for version in self._versions():
            key = (version.workflow, version.number)
            source = self.found.sources[key] = translate_source(version, self.legacy)
            callees = calls_of(version)
            self.calls[key] = [callee for _, callee in callees if callee in self.legacy.workflows]
            for position, callee in callees:
                if callee not in self.legacy.workflows:
                    pointer = f"/nodes/{position}/data/workflow"
                    self._add_graph_problem(
                        version, pointer, f"No workflow has the id {quoted(callee)}."
                    )
            try:
                is_latest = version is self.legacy.workflows[version.workflow].latest
                self.graphs[key] = parse(source, is_new=is_latest)
            except WorkflowValidationError as refusal:
                for problem in refusal.problems:
                    self._add_graph_problem(version, problem.pointer, problem.detail)
        latest = {pk: self.legacy.workflows[pk].latest for pk in self.component.workflows}
        self._check_cycle(
            {pk: set(self.calls[pk, version.number]) for pk, version in latest.items()}
        )

    def _add_graph_problem(self, version: LegacyVersion, pointer: str, detail: str) -> None:
        at = f"{version.at}/source{pointer}"
        self._add_undecided("workflow", version.workflow, at, detail, FIX_GRAPH)

    def _check_cycle(self, calls: dict[str, set[str]]) -> None:
        for pk in sorted(find_cyclic(calls)):
            row = self.legacy.workflows[pk]
            detail = f"“{row.title}” calls itself, directly or through other workflows."
            self._add_undecided("workflow", pk, row.at, detail, FIX_GRAPH)

    # Current nodes

    def _check_current_nodes(self) -> None:
        for row in self.live:
            for at, detail in self._node_problems(row):
                self._add_undecided("execution", row.id, at, detail, END_EXECUTION)

    def _node_problems(self, row: LegacyExecution) -> Iterator[tuple[str, str]]:
        if row.status == "scheduled":
            if row.parent is not None:
                yield below(row.at, "status"), "A child execution cannot be scheduled."
            if row.scheduled_for is None:
                yield below(row.at, "scheduled_for"), "It is scheduled, but has no time."
        elif not row.current_nodes:
            detail = f"It is {row.status}, but has no current nodes in the file."
            yield below(row.at, "current_nodes"), detail
        graph = self.graphs[row.workflow, row.version]
        for current in row.current_nodes:
            node = graph.nodes.get(current.node)
            if node is None:
                at = below(current.at, "node")
                yield at, f"Its current node {quoted(current.node)} is not in its version."
            elif current.child is not None:
                callee = self.legacy.executions[current.child].workflow
                if node.data.get("workflow") != self.legacy.workflow_cuid(callee):
                    at = below(current.at, "child")
                    yield at, f"Node {quoted(current.node)} does not call workflow {callee}."
        if row.parent is None:
            return
        parent = self.legacy.executions[row.parent]
        if not parent.is_live:
            detail = f"It is {row.status}, but its parent {parent.id} has ended."
            yield below(row.at, "parent"), detail
        elif row.id not in [current.child for current in parent.current_nodes]:
            yield below(row.at, "parent"), f"No current node of execution {parent.id} calls it."
        if row.entity != parent.entity:
            yield row.at, f"Its entity is another one than that of its parent {parent.id}."

    # Versions and pins of live roots

    def _infer_pins(self) -> None:
        for workflow in (self.legacy.workflows[pk] for pk in self.component.workflows):
            if workflow.state != RETIRED:
                self.found.in_force.add((workflow.id, workflow.latest.number))
        below_root: dict[str, list[LegacyExecution]] = {}
        for row in self.live:
            below_root.setdefault(self.legacy.root(row).id, []).append(row)
        for root in self.roots:
            children = [row for row in below_root[root.id] if row.parent is not None]
            self._infer_pins_of(root, children)

    def _infer_pins_of(self, root: LegacyExecution, children: list[LegacyExecution]) -> None:
        running: dict[str, int] = {}
        for child in children:
            if running.setdefault(child.workflow, child.version) != child.version:
                detail = f"Its children run two versions of workflow {child.workflow}."
                self._add_undecided("execution", root.id, root.at, detail, END_EXECUTION)
                return
        pins: dict[str, int] = {}
        calls: dict[str, set[str]] = {}
        pending = [(root.workflow, root.version)]
        while pending:
            key = pending.pop()
            calls[key[0]] = set(self.calls[key])
            for callee in self.calls[key]:
                if callee not in pins and callee != root.workflow:
                    latest = self.legacy.workflows[callee].latest_at(root.started_at)
                    pins[callee] = running.get(callee, latest.number)
                    pending.append((callee, pins[callee]))
        if find_cyclic(calls):
            detail = "The workflows that it can call have a cycle."
            self._add_undecided("execution", root.id, root.at, detail, END_EXECUTION)
        for callee in sorted(set(running) - set(pins)):
            detail = f"It has a child of workflow {callee}, which its versions do not call."
            self._add_undecided("execution", root.id, root.at, detail, END_EXECUTION)
        self.found.pins[root.id] = pins
        self.found.in_force |= {(root.workflow, root.version), *pins.items()}
        self._check_stranded(root, calls)

    def _check_stranded(self, root: LegacyExecution, calls: dict[str, set[str]]) -> None:
        for caller, callees in calls.items():
            for callee in sorted(callees):
                own, other = (self.legacy.workflows[pk].type for pk in (caller, callee))
                if own != other:
                    self.found.stranded[root.id] = (
                        f"Workflow {caller} now has {self.legacy.type_name(own)}, but calls "
                        f"workflow {callee}, which has {self.legacy.type_name(other)}."
                    )
                    return

    # Types

    def _infer_all_types(self) -> None:
        pairs = [(pk, callee) for pk, n in self.found.in_force for callee in self.calls[pk, n]]
        for group in connected_groups(self.component.workflows, pairs):
            self._infer_type(group)
        if self.found.undecided:
            return
        wanted: dict[EntityId, set[LegacyType]] = {}
        for row in self.live:
            wanted.setdefault(row.entity, set()).add(self.found.types[row.workflow])
        for pk in self.component.entities:
            entity = self.legacy.entities[pk]
            types = sorted(wanted.get(pk, {entity.type}))
            self.found.entity_types[pk] = types[0]
            if len(types) > 1:
                names = " and ".join(self.legacy.type_name(legacy_type) for legacy_type in types)
                self._add_undecided(
                    "entity",
                    pk[1],
                    entity.at,
                    f"Live executions of {entity.name} started with different types: {names}.",
                    "End one of them in the older system, or give their workflows the same type.",
                )
            elif types[0].entity_name != pk[0]:
                detail = f"Live executions of {entity.name} belong to workflows for other entities."
                self._add_undecided("entity", pk[1], entity.at, detail, END_EXECUTION)

    def _infer_type(self, group: list[str]) -> None:
        workflows = [self.legacy.workflows[pk] for pk in group]
        live = [row for row in self.live if row.workflow in set(group)]
        chosen = {self.legacy.chosen_types[pk] for pk in group if pk in self.legacy.chosen_types}
        proofs = list(dict.fromkeys(proof for row in live for proof in self._evidence(row)))
        claims = proofs or [
            (row.type, f"workflow {row.id} “{row.title}” has {self.legacy.type_name(row.type)}")
            for row in workflows
        ]
        types = chosen or {legacy_type for legacy_type, _ in claims}
        if len(types) > 1:
            self._add_conflict(group, [sentence for _, sentence in claims])
            return
        legacy_type = types.pop()
        self.found.types.update(dict.fromkeys(group, legacy_type))
        if chosen:
            self.found.chosen.update(group)
        if live:
            others: dict[LegacyType, list[str]] = {}
            for row in workflows:
                if row.type != legacy_type and row.state != RETIRED:
                    others.setdefault(row.type, []).append(row.id)
            self.found.later += [LaterTypeGroup(other, ids) for other, ids in others.items()]

    def _evidence(self, row: LegacyExecution) -> Iterator[tuple[LegacyType, str]]:
        entity = self.legacy.entities[row.entity]
        legacy_type = type_at(entity.type, entity.changes, row.started_at)
        then = "had" if legacy_type != entity.type else "has"
        name = self.legacy.type_name(legacy_type)
        sentence = f"execution {row.id} works on {entity.name}, which {then} {name}"
        yield legacy_type, sentence
        pins = self.found.pins.get(row.id, {})
        for pk in (row.workflow, *pins):
            workflow = self.legacy.workflows[pk]
            if workflow.changes:
                legacy_type = type_at(workflow.type, workflow.changes, row.started_at)
                name = self.legacy.type_name(legacy_type)
                yield legacy_type, f"workflow {pk} had {name} when execution {row.id} started"

    def _add_conflict(self, group: list[str], sentences: list[str]) -> None:
        titles = ", ".join(f"{pk} “{self.legacy.workflows[pk].title}”" for pk in group)
        evidence = "; ".join(sentences[:8]) + ("; …" if len(sentences) > 8 else "")
        self._add_undecided(
            "workflow",
            group[0],
            self.legacy.workflows[group[0]].at,
            f"The original type of these workflows is unclear ({titles}): {evidence}.",
            f"Choose it with --context {group[0]}=TYPE, or end the executions in the older system.",
        )

    # Versions without live executions

    def _infer_other_versions(self) -> None:
        ran: dict[VersionId, set[LegacyType]] = {}
        for pk in self.component.executions:
            row = self.legacy.executions[pk]
            entity = self.legacy.entities[row.entity]
            legacy_type = type_at(entity.type, entity.changes, row.started_at)
            ran.setdefault((row.workflow, row.version), set()).add(legacy_type)
        for version in self._versions():
            key = (version.workflow, version.number)
            workflow = self.legacy.workflows[version.workflow]
            legacy_type = self.found.types[version.workflow]
            if key not in self.found.in_force:
                types = ran.get(key, set())
                if len(types) == 1:
                    legacy_type = next(iter(types))
                elif workflow.changes and version.created_at is not None:
                    legacy_type = type_at(workflow.type, workflow.changes, version.created_at)
            self.found.version_types[key] = legacy_type
