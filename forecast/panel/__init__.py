"""Tidy tables in, a `Panel` out: who exists, who is at risk, what happened."""
