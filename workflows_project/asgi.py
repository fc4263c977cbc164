"""The ASGI application."""

import os

from django.core.asgi import get_asgi_application
from django.db import connections

from workflows_project import environment
from workflows_project.ops import timeouts
from workflows_project.ops.connections import close_after_each_request
from workflows_project.sqlite.base import require_file

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")

application = get_asgi_application()
environment.refuse_to_serve()
timeouts.limit_requests()
close_after_each_request(connections)
require_file()

# Reads the settings when it is imported.
from workflows_project.ops import readiness  # noqa: E402

readiness.refuse_unmigrated()
