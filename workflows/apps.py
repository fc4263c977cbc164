"""The app of definitions."""

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate

from workflows.db import text_search, write_once
from workflows.db.vendor import DATABASE

# The conditions under which the database rejects a reference that is not in its version's graph.
NOT_IN_GRAPH_ON_SQLITE = """
    EXISTS (SELECT 1 FROM workflows_version WHERE id = NEW.version_id)
    AND NOT EXISTS (
        SELECT 1 FROM workflows_version v
        JOIN json_each(v.source, '$.nodes') node
        JOIN workflows_workflow callee ON callee.id = NEW.callee_id
        WHERE v.id = NEW.version_id
        AND json_extract(v.source, node.fullkey || '.type') = 'run_workflow'
        AND json_extract(v.source, node.fullkey || '.id') = NEW.node_id
        AND json_extract(v.source, node.fullkey || '.data.workflow') = callee.cuid)
"""
NOT_IN_GRAPH_ON_POSTGRESQL = """
    EXISTS (SELECT 1 FROM workflows_version WHERE id = NEW.version_id)
    AND NOT EXISTS (
        SELECT 1 FROM workflows_version v
        JOIN workflows_workflow callee ON callee.id = NEW.callee_id
        WHERE v.id = NEW.version_id
        AND v.source @> jsonb_build_object('nodes', jsonb_build_array(jsonb_build_object(
            'type', 'run_workflow', 'id', NEW.node_id,
            'data', jsonb_build_object('workflow', callee.cuid)))))
"""
RETIRES_THOUGH_CALLED = """
    NEW.state = 'retired' AND OLD.state <> 'retired' AND EXISTS (
        SELECT 1 FROM workflows_reference r
        JOIN workflows_version v ON v.id = r.version_id AND v.in_force
        JOIN workflows_workflow caller ON caller.id = v.workflow_id
        WHERE r.callee_id = NEW.id AND caller.id <> NEW.id AND caller.state <> 'retired'
        AND NOT EXISTS (SELECT 1 FROM workflows_version n
            WHERE n.workflow_id = v.workflow_id AND n.number > v.number))
"""


def install_triggers(using: str, **kwargs: Any) -> None:
    """Bring the write-once triggers up to date."""
    write_once.install(connections[using])


def remove_triggers(using: str, plan: list[Any], **kwargs: Any) -> None:
    """Drop the triggers before migrations that need it.

    A migration with ``beside_traffic = True`` leaves them in place, except on SQLite: it drops the
    triggers of a table that it remakes, and renames no table that a trigger names.
    """
    needs_removal = not DATABASE.is_postgresql or any(
        migration.app_label in ("workflows", "executions")
        and not getattr(migration, "beside_traffic", False)
        for migration, _ in plan
    )
    if plan and needs_removal:
        write_once.remove(connections[using])


def _declare_triggers() -> None:
    write_once.protect_columns("workflows_workflow_sealed", "workflows_workflow", ("cuid",))
    write_once.protect_columns(
        "workflows_version_sealed",
        "workflows_version",
        (
            "cuid",
            "workflow_id",
            "number",
            "source",
            "checksum",
            "entity_name",
            "entity_name_type_id",
            "primary_record_type_id",
            "notes",
            "created_at",
        ),
    )
    write_once.protect_columns(
        "workflows_reference_sealed",
        "workflows_reference",
        ("version_id", "node_id", "callee_id", "context_key"),
    )
    write_once.protect_rows(
        "workflows_reference_attached", "workflows_reference", "version_id", "workflows_version"
    )
    write_once.reject(
        "workflows_reference_drawn",
        "workflows_reference",
        "INSERT",
        sqlite=NOT_IN_GRAPH_ON_SQLITE,
        postgresql=NOT_IN_GRAPH_ON_POSTGRESQL,
    )
    write_once.reject(
        "workflows_workflow_called",
        "workflows_workflow",
        "UPDATE",
        sqlite=RETIRES_THOUGH_CALLED,
        postgresql=RETIRES_THOUGH_CALLED,
    )
    write_once.protect_columns(
        "workflows_auditentry_sealed",
        "workflows_auditentry",
        (
            "id",
            "at",
            "who",
            "user_id",
            "face",
            "request_id",
            "action",
            "kind",
            "cuid",
            "title",
            "refused",
            "code",
            "detail",
            "before",
            "after",
            "why",
        ),
    )
    write_once.forbid_deletion("workflows_auditentry_kept", "workflows_auditentry")


class WorkflowsConfig(AppConfig):
    name = "workflows"

    def ready(self) -> None:
        from workflows import signals  # noqa: F401
        from workflows.editing import save_workflow
        from workflows.models import Workflow

        Workflow.edits = save_workflow
        _declare_triggers()
        connection_created.connect(DATABASE.prepare_connection)
        text_search.install()
        pre_migrate.connect(remove_triggers, sender=self)
        post_migrate.connect(install_triggers, sender=self)
