"""Reading what an advance needs, and writing what it changed."""
