"""The app of executions."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from workflows.apps import install_triggers


class ExecutionsConfig(AppConfig):
    name = "executions"

    def ready(self) -> None:
        from executions import (  # noqa: F401
            checks,
            closure_triggers,
            event_triggers,
            file_triggers,
            signals,
            voter_triggers,
        )
        from executions.engine import nodes, schedule_trigger, trigger_types  # noqa: F401
        from executions.models import FormFile, Secret
        from executions.running import StoredExecutions
        from workflows import guards, running

        running.registered = StoredExecutions()
        guards.register_secret_lookup(Secret.existing)

        _declare_triggers()
        closure_triggers.register()
        voter_triggers.register()
        file_triggers.register(FormFile.FROZEN)
        post_migrate.connect(install_triggers, sender=self)


def _declare_triggers() -> None:
    from executions.models import Comment, Move
    from workflows.db import write_once

    write_once.protect_columns("executions_entity_sealed", "executions_entity", ("cuid",))
    write_once.protect_columns(
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
    write_once.protect_columns(
        "executions_execution_passed",
        "executions_execution",
        ("passed",),
        "OLD.passed IS NOT NULL",
    )
    # A repair may open a closed step again; more nodes are passed when it is closed again.
    write_once.protect_columns(
        "executions_step_passed",
        "executions_step",
        ("passed",),
        "OLD.passed IS NOT NULL AND OLD.closed_at IS NOT NULL",
    )
    write_once.protect_columns("executions_move_sealed", "executions_move", Move.FROZEN)
    write_once.protect_columns(
        "executions_execution_final",
        "executions_execution",
        ("status",),
        "OLD.status IN ('completed', 'failed', 'cancelled')",
    )
    write_once.protect_columns("executions_comment_sealed", "executions_comment", Comment.FROZEN)
    write_once.protect_columns(
        "executions_comment_withdrawn",
        "executions_comment",
        ("withdrawn_at",),
        "OLD.withdrawn_at IS NOT NULL",
    )
