"""Files in, tidy tables out: one schema per kind of fact, with the years each source covers."""
