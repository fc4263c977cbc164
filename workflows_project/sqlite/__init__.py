"""The database backend (``ENGINE``) for SQLite."""
