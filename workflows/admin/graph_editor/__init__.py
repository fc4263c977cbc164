"""Pages that edit a graph as a diagram and as JSON."""
