"""Named features, each one function with its formula, unit, bounds and source."""
