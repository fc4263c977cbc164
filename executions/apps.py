"""The app of what is running."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from workflows.apps import install_seals


class ExecutionsConfig(AppConfig):
    name = "executions"

    def ready(self) -> None:
        from executions import checks, people_triggers, signals, telling  # noqa: F401
        from executions.engine import nodes, triggers  # noqa: F401
        from executions.models import Secret
        from workflows import guards, seals

        guards.ask_for_secrets(Secret.existing)

        seals.seal("executions_entity_sealed", "executions_entity", ("cuid",))
        seals.seal(
            "executions_execution_sealed",
            "executions_execution",
            (
                "cuid",
                "workflow_id",
                "version_id",
                "entity_id",
                "context_key",
                "root_id",
                "parent_id",
                "started_at",
                "scheduled_for",
            ),
        )
        seals.seal(
            "executions_execution_final",
            "executions_execution",
            ("status",),
            "OLD.status IN ('completed', 'failed', 'cancelled')",
        )
        seals.seal(
            "executions_pin_sealed",
            "executions_pin",
            ("root_id", "callee_id", "version_id", "context_key"),
        )
        seals.attach("executions_pin_attached", "executions_pin", "root_id", "executions_execution")
        people_triggers.declare()
        post_migrate.connect(install_seals, sender=self)
