"""Operation: faults of the database, health."""
