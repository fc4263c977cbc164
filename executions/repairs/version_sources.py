"""What a version was when it was written: found again, and proven by its checksum.

The checksum is over workflow, number, context and source. What was changed behind the product's
back is looked for among all that it can have been. Where the content is what the audit log has a
checksum of, the checksum itself was changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from itertools import product
from typing import Any

from executions.models import Execution, Pin
from workflows.audit.log import Action
from workflows.db.json_values import checksum
from workflows.graph import calls_in
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


def as_written(version: Version) -> Values | None:
    """What has to be put back, by attribute name; empty where nothing has, None where nothing
    that is known fits the checksum.
    """
    computed = version.compute_checksum()
    if computed == version.checksum:
        return {}
    if computed == _logged(version):
        return {"checksum": computed}
    for values in _candidates(version):
        if _checksum(version, values) == version.checksum:
            return {k: v for k, v in values.items() if getattr(version, k) != v}
    return None


def context_of(version: Version, values: Values) -> Context:
    """The context that the version has with these values."""
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
    """What was changed most likely first: one thing, then two."""
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
    """Sources that this one may have been: with the calls that its references tell, those of
    the workflow's other versions, and those that the log has kept.
    """
    called = dict(Reference.objects.filter(version=version).values_list("node_id", "callee__cuid"))
    if called and set(called) == {node for node, _ in calls_in(version.source)}:
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
    pinned = Pin.objects.filter(version=version).values_list("callee_id", flat=True)
    return sorted({*ran.order_by().distinct(), *pinned.order_by().distinct()})


def _saves(version: Version) -> Any:
    entries = AuditEntry.objects.filter(
        cuid=version.workflow.cuid, action=Action.GRAPH_SAVED, refused=False
    )
    return entries.order_by("-pk")


def _logged(version: Version) -> str | None:
    """The checksum that the log has of this number: of what was saved last, for what was saved
    before under the same number has been replaced.
    """
    for entry in _saves(version):
        if entry.after.get("version") == version.number:
            return str(entry.after.get("checksum"))
    return None
