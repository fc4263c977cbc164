"""The WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

from workflows_project import environment
from workflows_project.ops import timeouts
from workflows_project.sqlite.base import require_file

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")

application = get_wsgi_application()
environment.refuse_to_serve()
timeouts.limit_requests()
require_file()

# Reads the settings when it is imported.
from workflows_project.ops import readiness  # noqa: E402

readiness.refuse_unmigrated()
