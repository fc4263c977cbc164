"""Outgoing webhooks, and signed requests that arrive."""
