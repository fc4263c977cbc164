"""Rules that every route of the API shares."""
