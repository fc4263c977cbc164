"""Rules that every resource of the API shares."""
