"""The admin of what is drawn: one module a page."""

from workflows.admin import (  # noqa: F401
    audit,
    moment_filter,
    pending,
    saved_filter,
    types,
    version,
    workflow,
)
