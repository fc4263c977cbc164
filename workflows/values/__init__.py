"""Values without a domain: missing values, moments, durations, names and CSV cells."""
