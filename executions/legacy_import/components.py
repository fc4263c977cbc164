"""Components of the imported data: connected rows, which are imported together or not at all."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from executions.legacy_import.legacy_rows import EntityId, LegacyData, LegacyVersion
from workflows.graph import RUN_WORKFLOW

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class Component:
    """Workflows that call each other, their executions, and the entities of these."""

    workflows: list[str] = field(default_factory=list)
    entities: list[EntityId] = field(default_factory=list)
    executions: list[str] = field(default_factory=list)


def connected_groups(keys: Iterable[Key], pairs: Iterable[tuple[Key, Key]]) -> list[list[Key]]:
    """Return the keys in groups that the pairs connect, in the order of the keys."""
    parents = {key: key for key in keys}

    def find(key: Key) -> Key:
        while parents[key] != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    for one, other in pairs:
        parents[find(one)] = find(other)
    groups: dict[Key, list[Key]] = {}
    for key in parents:
        groups.setdefault(find(key), []).append(key)
    return list(groups.values())


def calls_of(version: LegacyVersion) -> list[tuple[int, str]]:
    """Return the position of each calling node of a version, and the old id of its callee."""
    found = []
    for position, node in enumerate(version.source["nodes"]):
        if isinstance(node, dict) and node.get("type") == RUN_WORKFLOW:
            data = node.get("data")
            callee = data.get("workflow") if isinstance(data, dict) else None
            if isinstance(callee, (str, int)) and not isinstance(callee, bool):
                found.append((position, str(callee)))
    return found


def translate_source(version: LegacyVersion, legacy: LegacyData) -> dict[str, Any]:
    """Return the source of a version with the cuids of its callees instead of their old ids."""
    nodes = []
    for node in version.source["nodes"]:
        if isinstance(node, dict) and node.get("type") == RUN_WORKFLOW:
            data = node.get("data")
            callee = data.get("workflow") if isinstance(data, dict) else None
            if isinstance(data, dict) and str(callee) in legacy.workflows:
                node = {**node, "data": {**data, "workflow": legacy.workflow_cuid(str(callee))}}
        nodes.append(node)
    return {"nodes": nodes, "edges": version.source["edges"]}


def find_components(legacy: LegacyData) -> list[Component]:
    """Return the rows connected by calls of any version, by executions and by inventory models."""
    pairs: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    for workflow in legacy.workflows.values():
        for version in workflow.versions.values():
            for _, callee in calls_of(version):
                if callee in legacy.workflows:
                    pairs.append((("workflow", workflow.id), ("workflow", callee)))
    for row in legacy.executions.values():
        pairs.append((("workflow", row.workflow), ("entity", *row.entity)))
        if row.parent is not None:
            parent = legacy.executions[row.parent].workflow
            pairs.append((("workflow", row.workflow), ("workflow", parent)))
    for entity in legacy.entities.values():
        if entity.inventory_model is not None:
            pairs.append((("entity", *entity.id), ("entity", *entity.inventory_model)))
    keys: list[tuple[str, ...]] = [("workflow", pk) for pk in legacy.workflows]
    keys += [("entity", *pk) for pk in legacy.entities]
    found: list[Component] = []
    of_workflow: dict[str, Component] = {}
    for group in connected_groups(keys, pairs):
        component = Component()
        for table, *pk in group:
            if table == "workflow":
                component.workflows.append(pk[0])
                of_workflow[pk[0]] = component
            else:
                component.entities.append((pk[0], pk[1]))
        found.append(component)
    for row in legacy.executions.values():
        of_workflow[row.workflow].executions.append(row.id)
    return found
