"""Search for the original content of a damaged version, proven by its checksum.

The checksum covers workflow, number, context and source. The search tries the values that each of
them can have had. If the audit log has the checksum of the current content, the stored checksum
itself was changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from itertools import product
from typing import Any

from executions.models import ClosureMember, Execution
from workflows.audit.log import Action
from workflows.db.json_values import checksum
from workflows.graph import find_calls
from workflows.models import (
    AuditEntry,
    Context,
    EntityName,
    FindingType,
    RecordType,
    Reference,
    Version,
)

Values = dict[str, Any]


def find_original_values(version: Version) -> Values | None:
    """Return the values to restore by attribute name, or None if no known values fit the checksum.

    The result is empty if the version matches its checksum.
    """
    computed = version.compute_checksum()
    if computed == version.checksum:
        return {}
    if computed == _logged_checksum(version):
        return {"checksum": computed}
    for values in _candidates(version):
        if _checksum(version, values) == version.checksum:
            return {k: v for k, v in values.items() if getattr(version, k) != v}
    return None


def context_of(version: Version, values: Values) -> Context:
    """Return the context of the version with these values."""
    return Context(
        values.get("entity_name", version.entity_name),
        values.get("entity_name_type_id", version.entity_name_type_id),
        values.get("primary_record_type_id", version.primary_record_type_id),
    )


def _checksum(version: Version, values: Values) -> str:
    return checksum(
        values.get("workflow_id", version.workflow_id),
        values.get("number", version.number),
        context_of(version, values).key,
        values.get("source", version.source),
    )


def _candidates(version: Version) -> Iterator[Values]:
    """Yield possible values, the most likely first: one changed attribute, then two."""
    contexts = list(_contexts())
    sources = list(_sources(version))
    workflows = _workflows(version)
    last = Version.objects.filter(workflow=version.workflow_id).order_by("-number")
    highest = last.values_list("number", flat=True).first() or 0
    yield from contexts
    yield from ({"source": source} for source in sources)
    yield from ({"number": number} for number in range(1, highest + 2))
    yield from ({"workflow_id": pk} for pk in workflows)
    for context, source in product(contexts, sources):
        yield {**context, "source": source}
    for context, pk in product(contexts, workflows):
        yield {**context, "workflow_id": pk}


def _contexts() -> Iterator[Values]:
    for pk in FindingType.objects.order_by("pk").values_list("pk", flat=True):
        yield _context(EntityName.FINDING.value, pk, None)
    for pk in RecordType.objects.order_by("pk").values_list("pk", flat=True):
        yield _context(EntityName.INVENTORY_MODEL.value, None, pk)


def _context(name: str, finding_type: int | None, record_type: int | None) -> Values:
    return {
        "entity_name": name,
        "entity_name_type_id": finding_type,
        "primary_record_type_id": record_type,
    }


def _sources(version: Version) -> Iterator[Any]:
    """Yield possible sources: the current one with the calls of the references, the sources of the
    workflow's other versions, and the sources in the audit log.
    """
    called = dict(Reference.objects.filter(version=version).values_list("node_id", "callee__cuid"))
    if called and set(called) == {node for node, _ in find_calls(version.source)}:
        source = deepcopy(version.source)
        for node in source["nodes"]:
            if node.get("id") in called:
                node["data"] = {**node.get("data", {}), "workflow": called[node["id"]]}
        yield source
    others = Version.objects.filter(workflow=version.workflow_id).exclude(pk=version.pk)
    yield from others.order_by("-number").values_list("source", flat=True)
    for entry in _saves(version):
        if isinstance(entry.before.get("source"), dict):
            yield entry.before["source"]


def _workflows(version: Version) -> list[int]:
    ran = Execution.objects.filter(version=version).values_list("workflow_id", flat=True)
    pinned = ClosureMember.objects.filter(version=version).values_list("callee_id", flat=True)
    return sorted({*ran.order_by().distinct(), *pinned.order_by().distinct()})


def _saves(version: Version) -> Any:
    entries = AuditEntry.objects.filter(
        cuid=version.workflow.cuid, action=Action.GRAPH_SAVED, refused=False
    )
    return entries.order_by("-pk")


def _logged_checksum(version: Version) -> str | None:
    """Return the checksum in the newest audit entry about this version number.

    Earlier entries about the number are about versions that were replaced.
    """
    for entry in _saves(version):
        if entry.after.get("version") == version.number:
            return str(entry.after.get("checksum"))
    return None
