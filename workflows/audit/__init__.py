"""The audit log and the models that write to it."""
