"""Access to the database that knows no domain."""
