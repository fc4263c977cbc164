"""The web server. Each setting can be overridden on the command line of gunicorn."""

import os

bind = os.environ.get("GUNICORN_BIND", "0.0.0.0:8000")
# Each process keeps one connection to the database.
workers = int(os.environ.get("WEB_CONCURRENCY", "4"))
# Longer than STATEMENT_TIMEOUT_SECONDS, so that a slow request gets its response.
timeout = 60
graceful_timeout = 30
# Heartbeats of the processes: in memory, because a slow disk would look like a dead process.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
# Holdfast writes the access log.
accesslog = None
