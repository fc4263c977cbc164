"""The admin of what is drawn: one module a page."""

from workflows.admin import (  # noqa: F401
    audit,
    pending_change,
    saved_filter,
    types,
    version,
    workflow,
)
from workflows.admin.base import moment_filter  # noqa: F401
