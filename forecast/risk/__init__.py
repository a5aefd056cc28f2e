"""The calibrated answer to a query: a pair, a set of pairs, every severity, a scenario."""

from forecast.risk.query import risk

__all__ = ["risk"]
