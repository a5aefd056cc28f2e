"""A posterior and edits to the alliance graph in, simulated futures out."""
