"""Import path for landed migrations; the code is in `workflows.db.cuid`."""

from workflows.db.cuid import *  # noqa: F403
