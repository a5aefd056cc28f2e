"""A model specification and a panel in, design arrays and a `pymc.Model` out."""
