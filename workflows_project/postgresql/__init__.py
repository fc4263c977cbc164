"""Django's PostgreSQL, which asks whether a connection lives without a statement."""
