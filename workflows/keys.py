"""Import path for landed migrations; the code is in `workflows.db.composite_keys`."""

from workflows.db.composite_keys import *  # noqa: F403
