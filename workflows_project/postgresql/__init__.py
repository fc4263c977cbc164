"""The database backend (``ENGINE``) for PostgreSQL."""
