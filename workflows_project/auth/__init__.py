"""Authentication, sessions, tokens and roles."""
