"""The calibrated answer to a query: a pair, a set of pairs, every severity, a scenario."""

from forecast.risk.pair_answer import Risk
from forecast.risk.query import risk

__all__ = ["Risk", "risk"]
