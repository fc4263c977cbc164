"""How dates and times are written for people: one format, which names the time zone."""
