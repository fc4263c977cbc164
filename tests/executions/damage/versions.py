"""Damage to versions, references and triggers."""

from __future__ import annotations

from tests.executions.damage.target import DamageTarget, change
from workflows.models import Reference, Version


def renumber_version(target: DamageTarget) -> str:
    change(target.waiting.version, number=7)
    return str(target.waiting.version.cuid)


def edit_callee(target: DamageTarget) -> str:
    version = target.waiting.version
    source = {**version.source, "nodes": [dict(node) for node in version.source["nodes"]]}
    for node in source["nodes"]:
        if node["type"] == "run_workflow":
            node["data"] = {"workflow": target.idle.cuid}
    change(version, source=source)
    return str(version.cuid)


def edit_checksum(target: DamageTarget) -> str:
    change(target.waiting.version, checksum="0")
    return str(target.waiting.version.cuid)


def delete_references(target: DamageTarget) -> str:
    Reference._base_manager.all()._raw_delete("default")
    return str(target.waiting.version.cuid)


def add_reference(target: DamageTarget) -> str:
    version = target.callee.latest_version
    target.add_reference(version, target.idle)
    return str(version.cuid)


def add_cyclic_reference(target: DamageTarget) -> str:
    target.add_reference(target.callee.latest_version, target.caller)
    return str(target.caller.cuid)


def release_reference(target: DamageTarget) -> str:
    change(target.waiting.version.references.get(), in_force=False)
    return str(target.waiting.version.cuid)


def edit_source(target: DamageTarget) -> str:
    change(target.waiting.version, source={**target.waiting.version.source, "extra": 1})
    return str(target.waiting.version.cuid)


def delete_version(target: DamageTarget) -> str:
    Version._base_manager.filter(pk=target.waiting.version_id)._raw_delete("default")
    return target.waiting.cuid


def name_missing_secret(target: DamageTarget) -> str:
    change(target.idle, trigger="webhook", trigger_data={"secret": "GONE"})
    return str(target.idle.cuid)
