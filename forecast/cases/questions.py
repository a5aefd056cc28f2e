"""`Question`: what a hindcast asks about a case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Question"]

_STRICT = {"extra": "forbid"}  # an unknown key of the file is an error


@dataclass(frozen=True)
class Question:
    """What `forecast.hindcast` asks about a case.

    Attributes
    ----------
    name : str
        Short name within the case, mostly the year.
    first_year : int
        First year that is not known: all that is learnt is of the years before it.
    about : tuple of (tuple of str, tuple of str)
        Sides whose pairs are asked about, by COW abbreviation; no second side is every other
        state, the same twice the pairs within.
    labels : tuple of str
        What each of these is called; empty: after its states.
    data : str
        Data set that reaches far enough back.
    horizon : int
        Years ahead.
    change : tuple of str
        Pacts whose facts in the years ahead are the change (``forms``, ``accedes``, ``leaves``,
        ``ends``); with `undo` their facts in the years before, which "without" takes back on
        1 January of the first year. Empty: nothing is changed.
    kind : {"forecast", "settlement", "year by year"}
        Onsets of some years together; whether a dispute of the two would be settled; or onsets
        year by year by one fit, and who begins.
    """

    __pydantic_config__ = _STRICT

    name: str
    first_year: int
    about: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    labels: tuple[str, ...] = ()
    data: Literal["embedded", "historical"] = "embedded"
    horizon: int = 5
    change: tuple[str, ...] = ()
    undo: bool = False
    kind: Literal["forecast", "settlement", "year by year"] = "forecast"

    @property
    def last_year(self) -> int:
        """Last year that is forecast."""
        return self.first_year + self.horizon - 1

    @property
    def asked(self) -> tuple[tuple[tuple[tuple[str, ...], tuple[str, ...]], str], ...]:
        """The sides that are asked about, each with what it is called (empty: after its states)."""
        labels = self.labels if len(self.labels) == len(self.about) else [""] * len(self.about)
        return tuple(zip(self.about, labels, strict=True))

    @property
    def span(self) -> str:
        """Years that are forecast, in words."""
        first, last = self.first_year, self.last_year
        return str(first) if first == last else f"{first}–{last}"
