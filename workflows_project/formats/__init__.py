"""How dates and times are written for people: one format, with the time zone (FORMAT_MODULE_PATH)."""
