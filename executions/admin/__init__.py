"""The admin of what is running: one module a page."""

from executions.admin import (  # noqa: F401
    bulk,
    entity,
    execution,
    secret,
    webhook,
    webhook_delivery,
)
