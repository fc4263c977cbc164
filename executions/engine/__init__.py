"""The engine: walks graphs in memory, with rules, forms and the behaviour of each node type."""
