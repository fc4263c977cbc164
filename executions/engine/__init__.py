"""The engine walks a graph in memory: rules, forms and the behaviour of each node type."""
