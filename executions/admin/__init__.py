"""The admin of what is running: one module a page."""

from executions.admin import entity, execution, secret  # noqa: F401
