"""Operation of servers."""
