"""Admin pages of workflow definitions, one module per page."""

from workflows.admin import (  # noqa: F401
    audit,
    pending_change,
    saved_filter,
    types,
    version,
    workflow,
)
from workflows.admin.base import filters  # noqa: F401
