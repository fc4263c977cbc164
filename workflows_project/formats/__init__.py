"""Formats of dates and times on pages, with the time zone."""
