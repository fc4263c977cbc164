"""The pages that edit a graph: as a picture and as JSON."""
