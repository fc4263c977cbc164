"""Tests of the admin in a browser."""
