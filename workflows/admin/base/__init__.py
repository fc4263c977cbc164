"""Base classes and helpers of the admin pages."""
