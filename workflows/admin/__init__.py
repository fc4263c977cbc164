"""The admin of what is drawn: one module a page."""

from workflows.admin import audit, pending, types, version, workflow  # noqa: F401
