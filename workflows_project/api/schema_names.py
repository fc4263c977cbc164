"""Names of components in the OpenAPI document, from which generators derive class names."""

from __future__ import annotations

import re
from typing import Any

RENAMED: dict[str, str] = {
    "Attempt": "DeliveryAttempt",
    "Decision": "StepDecision",
    "Delivery": "WorkflowHook",
    "Draining": "DrainingChange",
    "EmptyBody": "Empty",
    "EmptyRequest": "DryRun",
    "Graph": "SaveGraph",
    "ListedExecution": "ExecutionSummary",
    "NamedEntity": "EntitySummary",
    # A class of Python would have a variable with the name of its property.
    "Occurrences": "NextOccurrences",
    "Obstacle": "MoveObstacle",
    "PendingMember": "PendingChangeMember",
    "Pin": "PinnedVersion",
    "Result": "BulkItemResult",
    "Taken": "StepHookReceipt",
    "TakenDelivery": "WorkflowHookReceipt",
    "WorkedOnEntity": "ExecutionEntity",
}
"""New names of serializers whose names say too little outside of their module."""

_REFERENCE = "#/components/schemas/"
_PAGE = re.compile(r"Paginated(\w+)List")
_PATCH = re.compile(r"Patched(\w+)Request")
_REQUEST = re.compile(r"(\w+)Request")


def public_name(name: str) -> str:
    """Return the public name of a generated component.

    >>> public_name("PaginatedListedExecutionList")
    'ExecutionSummaryPage'
    >>> public_name("PatchedFindingRequest")
    'FindingPatchRequest'
    """
    for pattern, ending in ((_PAGE, "Page"), (_PATCH, "PatchRequest"), (_REQUEST, "Request")):
        if found := pattern.fullmatch(name):
            return f"{RENAMED.get(found[1], found[1])}{ending}"
    return RENAMED.get(name, name)


def rename_components(document: dict[str, Any]) -> None:
    """Give all components of a generated document their public names.

    Raises:
        ValueError: two components would have the same name.
    """
    schemas = document["components"]["schemas"]
    names = {name: public_name(name) for name in schemas}
    if len(set(names.values())) < len(names):
        raise ValueError("Two components of the OpenAPI document have the same name.")
    document["components"]["schemas"] = {names[name]: row for name, row in schemas.items()}
    _rename_references(document, names)


def _rename_references(value: Any, names: dict[str, str]) -> None:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REFERENCE):
            name = reference.removeprefix(_REFERENCE)
            value["$ref"] = _REFERENCE + names.get(name, name)
        for inner in value.values():
            _rename_references(inner, names)
    elif isinstance(value, list):
        for inner in value:
            _rename_references(inner, names)
