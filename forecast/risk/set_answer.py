"""`SetRisk`: the answer about a set of pairs, such as one state and any member of an alliance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from forecast.cards import Card, Carded
from forecast.simulation.levels import LEVEL_WORDS
from forecast.sources.tables import amended_words, vintage_words
from forecast.text import percentage, rounding_step

__all__ = ["SetRisk"]

_ON_RECORD = {
    "onset": "",
    "fatal": "known to have cost a life ",
    "deaths_25": "known to have cost more than 25 lives ",
    "deaths_1000": "known to have cost more than 999 lives ",
}
#: Pairs with a dispute under way that are told one by one.
_TOLD = 5


@dataclass(frozen=True, repr=False)
class SetRisk(Carded):
    """Answer to a question about any of several pairs.

    Attributes
    ----------
    side_a, side_b : str
        The two sides in words; the same where pairs are within one set.
    states_a, states_b : tuple of str
        Names of their states in the origin year.
    pairs : int
        Number of pairs with one state of each side.
    first_year, last_year, horizon : int
        Years of the forecast, both included, and their number.
    probability : float
        Probability that at least one dispute begins between at least one of the pairs in these
        years, beside or after those under way. Onsets of different pairs may begin together.
    lower, upper : float
        Interval of that probability.
    interval_kind, interval_level : str, float
        What the interval is and its probability content.
    severity : str
        Level of the disputes that are counted, as in `forecast.risk.Risk`.
    unit : str
        Unit of the probability.
    expected : float
        Pairs with an onset that are to be expected: the sum of the probabilities of the pairs.
    distribution : tuple of float
        Probability that 0, 1, 2 … pairs see an onset within these years, from the simulated worlds,
        up to the largest number in any of them.
    fewest, most : int
        Equal-tailed predictive interval of that number, of content ``interval_level``.
    independent : float
        `probability` if onsets did not begin together; the difference is what joint onsets do.
    contributions : tuple of dict
        The pairs by their own probability within these years, largest first: ``pair``,
        ``probability``, ``share`` of `expected`.
    under_way : tuple of dict
        Pairs with a dispute open on the last day of the record: ``pair``, ``name``, ``since`` (as
        much of the date as is known), ``still``: probability that it is under way at the end.
    record : dict
        What is on record between the same pairs: ``first_year``, ``last_year``, ``years_with`` (of
        these years, those in which at least one dispute began) and ``onsets`` (pairs and years).
    observed_rate : int
        Pairs of which the model has no row; they count with the observed rate of their stratum.
    handling : str
        Which method answered.
    recall : str
        How much of what happens is on record, as the data declare it; empty where they do not.
    vintage : dict
        First and last year and version of every table.
    caution : str
        What the number is not.
    rounded : dict
        ``text`` and ``interval``, with no more digits than are supported, the ``step``, what
        decided (``supported_by``), and of the ``largest`` of the pairs each as `forecast.risk` of
        it alone tells it (``pair``, ``text``, ``interval``).
    """

    side_a: str
    side_b: str
    states_a: tuple[str, ...]
    states_b: tuple[str, ...]
    pairs: int
    first_year: int
    last_year: int
    horizon: int
    probability: float
    lower: float
    upper: float
    interval_kind: str
    interval_level: float
    severity: str
    unit: str
    expected: float
    distribution: tuple[float, ...]
    fewest: int
    most: int
    independent: float
    contributions: tuple[dict[str, Any], ...]
    under_way: tuple[dict[str, Any], ...]
    record: dict[str, int]
    observed_rate: int
    handling: str
    recall: str
    vintage: dict[str, Any]
    caution: str
    rounded: dict[str, Any]

    def at_least(self, number: int) -> float:
        """Probability that at least so many pairs see an onset within these years."""
        return self.probability if number == 1 else float(sum(self.distribution[number:]))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON: every number in full, and rounded beside it."""
        return asdict(self)

    def card(self) -> Card:
        """The answer in a few lines: number, how many, which pairs, record, vintage, caution."""
        span = f"{self.first_year}{f'–{self.last_year}' if self.horizon > 1 else ''}"
        begins = LEVEL_WORDS[self.severity]
        facts = [
            ("probability", f"{self.rounded['text']} ({self.interval_level:.0%} "
             f"{self.interval_kind} interval {self.rounded['interval']}) that {begins} between at "
             f"least one of {self.pairs:,} pair{'s' if self.pairs > 1 else ''}, {span}"),
            ("number", f"{self.expected:.2g} expected, {self.fewest} to {self.most}"),
            ("largest", self._largest(5)),
            ("under way", ", ".join(f"{one['pair']} since {one['since']}"
                                    for one in self.under_way[:_TOLD]) or "none"),
            ("on record", f"one began in {self.record['years_with']} of the years "
             f"{self.record['first_year']}–{self.record['last_year']}"),
            ("data", vintage_words(None, self.vintage)),
        ]  # fmt: skip
        who = self.side_a if self.side_a == self.side_b else f"{self.side_a} and {self.side_b}"
        return Card(who, facts, [(None, self.rounded["supported_by"])], note=self.caution)

    def __str__(self) -> str:
        """The answer, what it is made of, and what is on record."""
        span = f"in {self.first_year}{f'–{self.last_year}' if self.horizon > 1 else ''}"
        who = (
            f"Within {self.side_a}"
            if self.side_a == self.side_b
            else f"{self.side_a} and {self.side_b}"
        )
        begins = LEVEL_WORDS[self.severity]
        if self.under_way:
            begins = begins.replace("a dispute", "a further dispute")
        where = (
            "the two"
            if self.pairs == 1
            else f"the states of at least one of the {self.pairs} pairs"
        )
        parts = [
            f"{who}: {self._going_on()}probability {self.rounded['text']} that {begins} between"
            f" {where} {span} ({self.interval_level:.0%} {self.interval_kind} interval"
            f" {self.rounded['interval']}), as recorded here."
        ]
        parts += self._how_many() if self.pairs > 1 else []
        if self.pairs > 1:
            parts.append(f"Largest of the pairs: {self._largest(3)}.")
        before = self.record
        years = before["last_year"] - before["first_year"] + 1
        several = "" if before["onsets"] == 1 else "s"
        parts.append(
            f"Between the same pairs at least one {_ON_RECORD[self.severity]}began in"
            f" {before['years_with']} of the {years} years"
            f" {before['first_year']}–{before['last_year']}"
            f" ({before['onsets']} onset{several} of pairs and years)."
        )
        if self.observed_rate:
            parts.append(
                f"Of {self.observed_rate} pair{'s' if self.observed_rate > 1 else ''} the model has"
                " no row; the observed rate of such pairs stands in."
            )
        parts.append(self.rounded["supported_by"])
        return " ".join(filter(None, (*parts, amended_words(self.vintage))))

    def _largest(self, number: int) -> str:
        told = self.rounded["largest"][:number]
        return ", ".join(f"{one['pair']} {one['text']} ({one['interval']})" for one in told)

    def _how_many(self) -> list[str]:
        """Expected number, and the chance of several."""
        several = ", ".join(
            f"{words} {percentage(p, rounding_step(p))}"
            for number, words in ((2, "two or more"), (5, "five or more"), (10, "ten or more"))
            if number <= self.pairs and (p := self.at_least(number)) > 0
        )
        text = (
            f"Number of pairs with one: {self.expected:.2g} expected, {self.fewest} to {self.most}"
            f" with {self.interval_level:.0%} probability"
        )
        return [f"{text}; {several}." if several else f"{text}."]

    def _going_on(self) -> str:
        """What is under way leads: it is not what the probability is about."""
        if not self.under_way:
            return ""
        told = ", ".join(
            (f"{one['pair']} " if self.pairs > 1 else "")
            + f"since {one['since']} (still so at the end of {self.last_year} with"
            f" {percentage(one['still'], rounding_step(one['still']))})"
            for one in self.under_way[:_TOLD]
        )
        more = len(self.under_way) - _TOLD
        others = f" and between {more} other pair{'s' if more > 1 else ''}" if more > 0 else ""
        return f"a conflict is under way {'between ' if self.pairs > 1 else ''}{told}{others}; "
