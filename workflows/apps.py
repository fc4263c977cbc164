"""The app of what is drawn."""

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


def install_seals(using: str, **kwargs: Any) -> None:
    """SQLite drops the triggers of a table that a migration remakes."""
    from workflows import seals

    seals.install(connections[using])


def remove_seals(using: str, plan: list[Any], **kwargs: Any) -> None:
    """A migration may alter a column that a seal looks at; they are back when it is done."""
    from workflows import seals

    if plan:
        seals.remove(connections[using])


class WorkflowsConfig(AppConfig):
    name = "workflows"

    def ready(self) -> None:
        from workflows import seals, signals  # noqa: F401

        seals.seal("workflows_workflow_sealed", "workflows_workflow", ("cuid",))
        seals.seal(
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
        seals.seal(
            "workflows_reference_sealed",
            "workflows_reference",
            ("version_id", "node_id", "callee_id", "context_key"),
        )
        seals.attach(
            "workflows_reference_attached", "workflows_reference", "version_id", "workflows_version"
        )
        seals.seal(
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
        seals.keep("workflows_auditentry_kept", "workflows_auditentry")
        pre_migrate.connect(remove_seals, sender=self)
        post_migrate.connect(install_seals, sender=self)
