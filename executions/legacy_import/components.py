"""The parts of an old system: what hangs together, and comes in whole or not at all."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from executions.legacy_import.old_rows import EntityId, Old, OldVersion
from workflows.graph import RUN_WORKFLOW

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class Part:
    """Workflows that call each other, what they have run, and what that works on."""

    workflows: list[str] = field(default_factory=list)
    entities: list[EntityId] = field(default_factory=list)
    executions: list[str] = field(default_factory=list)


def together(keys: Iterable[Key], pairs: Iterable[tuple[Key, Key]]) -> list[list[Key]]:
    """The keys, those that a pair joins in one list; in the order in which they came."""
    above = {key: key for key in keys}

    def top(key: Key) -> Key:
        while above[key] != key:
            above[key] = above[above[key]]
            key = above[key]
        return key

    for one, other in pairs:
        above[top(one)] = top(other)
    found: dict[Key, list[Key]] = {}
    for key in above:
        found.setdefault(top(key), []).append(key)
    return list(found.values())


def called_by(version: OldVersion) -> list[tuple[int, str]]:
    """The place of each node of a version that calls, and the old id of what it calls."""
    found = []
    for place, node in enumerate(version.source["nodes"]):
        if isinstance(node, dict) and node.get("type") == RUN_WORKFLOW:
            data = node.get("data")
            callee = data.get("workflow") if isinstance(data, dict) else None
            if isinstance(callee, (str, int)) and not isinstance(callee, bool):
                found.append((place, str(callee)))
    return found


def source_for(version: OldVersion, old: Old) -> dict[str, Any]:
    """The source of a version with the cuids of what it calls."""
    nodes = []
    for node in version.source["nodes"]:
        if isinstance(node, dict) and node.get("type") == RUN_WORKFLOW:
            data = node.get("data")
            callee = data.get("workflow") if isinstance(data, dict) else None
            if isinstance(data, dict) and str(callee) in old.workflows:
                node = {**node, "data": {**data, "workflow": old.workflow_cuid(str(callee))}}
        nodes.append(node)
    return {"nodes": nodes, "edges": version.source["edges"]}


def parts_of(old: Old) -> list[Part]:
    """What hangs together by any version's calls, by executions, and by inventory models."""
    pairs: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    for workflow in old.workflows.values():
        for version in workflow.versions.values():
            for _, callee in called_by(version):
                if callee in old.workflows:
                    pairs.append((("workflow", workflow.id), ("workflow", callee)))
    for row in old.executions.values():
        pairs.append((("workflow", row.workflow), ("entity", *row.entity)))
        if row.parent is not None:
            above = old.executions[row.parent].workflow
            pairs.append((("workflow", row.workflow), ("workflow", above)))
    for entity in old.entities.values():
        if entity.inventory_model is not None:
            pairs.append((("entity", *entity.id), ("entity", *entity.inventory_model)))
    keys: list[tuple[str, ...]] = [("workflow", pk) for pk in old.workflows]
    keys += [("entity", *pk) for pk in old.entities]
    found: list[Part] = []
    of_workflow: dict[str, Part] = {}
    for group in together(keys, pairs):
        part = Part()
        for kind, *pk in group:
            if kind == "workflow":
                part.workflows.append(pk[0])
                of_workflow[pk[0]] = part
            else:
                part.entities.append((pk[0], pk[1]))
        found.append(part)
    for row in old.executions.values():
        of_workflow[row.workflow].executions.append(row.id)
    return found
