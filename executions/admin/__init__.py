"""Admin pages of executions, entities, secrets and webhooks, one module per page."""

from executions.admin import (  # noqa: F401
    bulk,
    entity,
    execution,
    secret,
    webhook,
    webhook_delivery,
)
