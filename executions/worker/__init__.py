"""Background work: the queue, the rounds over due rows, and the Celery tasks."""
