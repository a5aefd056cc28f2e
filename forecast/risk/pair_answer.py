"""`Risk`: the answer about one pair, with all that the number needs, and how it is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from forecast.cards import Card, Carded
from forecast.text import number, percentage, percentage_interval, rounding_step

__all__ = ["Ended", "Risk", "UnderWay", "date_words"]


@dataclass(frozen=True)
class UnderWay:
    """A dispute of the pair that is open on the last day of the record.

    Of several the one that began first.

    Attributes
    ----------
    conflict_id, name : str
        Of the conflict in the data.
    since, since_precision : str
        ISO date of its first day as recorded, and whether day, month or only year is known.
    age : int
        Years since the one in which it began, on the first day of the forecast.
    years : tuple of dict
        For each year of the forecast ``year`` and, with equal-tailed intervals
        (``still_interval`` …): ``still``, the probability that it is still under way at the end of
        the year; ``ended``, that it has ended by then; ``further``, that at least one further
        dispute has begun by then (None for a pair outside of the model's population).
    severity : str
        What the deaths of the dispute are: those recorded so far.
    rises : dict or None
        That it comes to the next level of severity in the end, from what is recorded so far:
        ``severity``, ``probability``, ``lower``, ``upper``, ``text``. When is not recorded:
        sources code the deaths of a dispute once. None at the highest level.
    """

    conflict_id: str
    name: str
    since: str
    since_precision: str
    age: int
    years: tuple[dict[str, Any], ...]
    severity: str
    rises: dict[str, Any] | None = None


@dataclass(frozen=True)
class Ended:
    """The last dispute of the pair that ended in the last year of the record.

    Attributes
    ----------
    conflict_id, name : str
        Of the conflict in the data.
    since, since_precision, end, end_precision : str
        ISO dates of its first and last day as recorded, and how precisely each is known.
    """

    conflict_id: str
    name: str
    since: str
    since_precision: str
    end: str
    end_precision: str


@dataclass(frozen=True, repr=False)
class Risk(Carded):
    """Answer to one query.

    Attributes
    ----------
    state_a, state_b : str
        Names of the two states in the origin year, in the order asked.
    ccode_a, ccode_b : int
        Their COW numbers.
    first_year, last_year : int
        Years of the forecast, both included.
    horizon : int
        Number of these years.
    status : {"at peace", "ended", "under way"}
        How things stood on the last day of the record: no dispute of the two was active in its
        last year; one was, and is over; one is open.
    under_way : UnderWay or None
        The dispute that is under way: since when, and whether it still is at the end of each year.
    ended : Ended or None
        The dispute that has ended.
    severity : {"onset", "fatal", "deaths_25", "deaths_1000"}
        The level that `probability`, `base_rate`, `calibration` and `rounded` are of: a dispute
        of whatever kind, or one that comes to at least one, more than 25 or more than 999 deaths
        of the two.
    probability : float
        Probability that at least one dispute of that level begins between the two in these
        years: if one is under way, beside it or after it.
    lower, upper : float
        Interval of that probability.
    interval_kind, interval_level : str, float
        What the interval is and its probability content.
    unit : str
        Unit and population of the probability, which is of an onset as the data record it.
    stratum : str
        ``"under way"`` (where the fit has rows of such pairs), ``"first ever"`` (no onset between
        the two on record), ``"quiet"`` (one, but more than ten years of peace), ``"recurrent"``,
        or ``"outside the population"``.
    base_rate : float
        Observed share of the stratum's dyads with an onset within as many years.
    base_population : str
        Whose share it is: the population of the fit, or what lies outside of it.
    base_rows : int
        Dyad-years from which it was counted.
    ratio : float
        `probability` over `base_rate`.
    ladder : tuple of dict
        All four levels, each contained in the one before: ``severity``, ``meaning``,
        ``probability``, ``lower``, ``upper``, ``text``, ``base_rate``, ``base_rows`` (onsets whose
        deaths tell it), ``record`` (how forecasts of the level did). Of a level that the data do
        not record the numbers are None.
    fighting : dict or None
        ``probability``, ``lower``, ``upper``, ``text``: that at the end of one of these years a
        dispute of the two is under way that has cost more than 25 lives, or that one has begun
        that comes to it. None where the data do not record it.
    drivers : tuple of dict
        The three features that move the log-odds of the first year most, relative to the
        average dyad-year of the fit: ``term``, ``log_odds``, ``value``.
    effects : dict
        Log-odds of what no feature explains: ``state`` and ``dyad`` effects.
    handling : str
        Which method answered: the model, or the observed rate for a pair outside its population.
    support : dict
        ``rows_in_stratum`` and ``rows_of_dyad``, of the fit; ``new_levels``, groups of effects of
        which the pair has a level that is new to the fit; ``outside_range``, features whose value
        in the first year lies outside of the range seen in the fit: ``term``, ``value``,
        ``range``; ``distance_percentile``, 0 to 100: how unusual the pair's alliances are among
        the rows of the fit (`forecast.simulation.comparison.Support`).
    calibration : dict
        How forecasts like that of the first year did, in this stratum and band of probability:
        ``covered`` (whether there is a record of such forecasts out of sample), ``source``,
        ``stratum``, ``band``, ``rows``, ``onsets_expected``, ``onsets_observed``,
        ``observed_rate`` with its interval, and ``text``, all of it in a sentence.
    recall : str
        How much of what happens is on record, as the data declare it; empty where they do not.
    vintage : dict
        First and last year and version of every table, and the user's own amendments of it.
    caution : str
        What the number is not.
    rounded : dict
        ``probability``, ``lower`` and ``upper`` in multiples of ``step``: no more digits than
        the widest of the interval, the band of the record and the record's own interval
        supports, and one digit without a record; as ``text`` and ``interval``, with the
        ``base_rate`` and what decided (``supported_by``).
    """

    state_a: str
    state_b: str
    ccode_a: int
    ccode_b: int
    first_year: int
    last_year: int
    horizon: int
    status: str
    under_way: UnderWay | None
    ended: Ended | None
    probability: float
    lower: float
    upper: float
    interval_kind: str
    interval_level: float
    severity: str
    unit: str
    stratum: str
    base_rate: float
    base_population: str
    base_rows: int
    ratio: float
    ladder: tuple[dict[str, Any], ...]
    fighting: dict[str, Any] | None
    drivers: tuple[dict[str, Any], ...]
    effects: dict[str, float]
    handling: str
    support: dict[str, Any]
    calibration: dict[str, Any]
    recall: str
    vintage: dict[str, Any]
    caution: str
    rounded: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON: every number in full, and rounded beside it."""
        return asdict(self)

    def card(self) -> Card:
        """The answer in a few lines: number, base rate, how bad, record, vintage, caution."""
        from forecast.features.strata import STRATA_WORDS
        from forecast.simulation.levels import LEVEL_WORDS, SHORT
        from forecast.sources.tables import vintage_words

        span = f"{self.first_year}{f'–{self.last_year}' if self.horizon > 1 else ''}"
        begins = LEVEL_WORDS[self.severity]
        if self.under_way is not None:
            begins = begins.replace("a dispute", "a further dispute")
        ladder = [
            f"{SHORT[one['severity']]} {one['text']}"
            for one in self.ladder
            if one["probability"] is not None and one["severity"] != self.severity
        ]
        facts = [
            ("probability", f"{self.rounded['text']} ({self.interval_level:.0%} "
             f"{self.interval_kind} interval {self.rounded['interval']}) that {begins}, {span}"),
            ("base rate", f"{self.rounded['base_rate']}, of "
             f"{STRATA_WORDS.get(self.stratum, self.stratum)} ({self.base_population})"),
        ]  # fmt: skip
        if self.under_way is not None:
            still = self.under_way.years[-1]
            since = date_words(self.under_way.since, self.under_way.since_precision)
            left = percentage(still["still"], rounding_step(still["still"]))
            facts.insert(
                0, ("under way", f"since {since}; still at the end of {still['year']}: {left}")
            )
        if ladder:
            facts.append(("how bad", ", ".join(ladder)))
        if self.fighting is not None:
            facts.append(
                ("fighting", f"{self.fighting['text']} (more than 25 deaths, begun or going on)")
            )
        moves = [f"{d['term']} {number(d['log_odds'], sign=True)}" for d in self.drivers]
        if moves:
            facts.append(("moved by", f"{', '.join(moves)} (log-odds, beside the average row)"))
        facts.append(("data", vintage_words(None, self.vintage)))
        covered = True if self.calibration["covered"] else None
        return Card(f"{self.state_a}–{self.state_b}", facts,
                    [(covered, self.calibration["text"])], note=self.caution)  # fmt: skip

    def __str__(self) -> str:
        """The answer and its record, with no more digits than they support."""
        from forecast.features.strata import STRATA_WORDS
        from forecast.simulation.levels import LEVEL_WORDS
        from forecast.sources.tables import amended_words

        pair = f"{self.state_a}–{self.state_b}"
        span = f"in {self.first_year}{f'–{self.last_year}' if self.horizon > 1 else ''}"
        kind = f"{self.interval_level:.0%} {self.interval_kind} interval"
        risk = f"{self.rounded['text']} ({kind} {self.rounded['interval']})"
        within = "a year" if self.horizon == 1 else f"{self.horizon} years"
        base = (
            f"base rate as recorded here {self.rounded['base_rate']} within {within}, of"
            f" {STRATA_WORDS.get(self.stratum, self.stratum)} ({self.base_population})"
        )
        begins = LEVEL_WORDS[self.severity]
        if self.under_way is not None:
            text = f"{pair}: {self._going_on(self.under_way, kind, risk, base)}"
        else:
            conflict = ""
            if self.ended is not None:
                end = date_words(self.ended.end, self.ended.end_precision)
                since = date_words(self.ended.since, self.ended.since_precision)
                conflict = f"the conflict of the two that began {since} and ended {end}"
            after = f" after {conflict}" if conflict else ""
            head = f"{pair}: probability"
            if not self.handling.startswith("model "):
                unseen = f" It knows nothing of {conflict}." if conflict else ""
                head, after = f"{pair}: no forecast of the two. {self.handling}{unseen} By it", ""
            text = (
                f"{head} {self.rounded['text']} that {begins} {span}{after}"
                f" ({kind} {self.rounded['interval']}); {base}."
            )
        text += self._how_bad(span)
        several = " For the first of these years alone:" if self.horizon > 1 else ""
        covered = several if self.calibration["covered"] else ""
        said = (f"{text}{covered} {self.calibration['text']}", amended_words(self.vintage))
        return " ".join(filter(None, said))

    def _how_bad(self, span: str) -> str:
        """The other levels, and fighting."""
        from forecast.simulation.levels import DEATHS, SHORT

        others = [
            entry
            for entry in self.ladder
            if entry["severity"] != self.severity and entry["probability"] is not None
        ]
        if not others or self.fighting is None:
            return " How bad it would be is not told: these data record no deaths."
        told = ", ".join(f"{SHORT[entry['severity']]} {entry['text']}" for entry in others)
        text = f" By what one would cost {span}, the chance of it included: {told}."
        if self.under_way is not None:
            if (rises := self.under_way.rises) is not None:
                text += f" The one under way comes to {DEATHS[rises['severity']]} in the end with"
                text += f" {rises['text']}, as far as its deaths are recorded."
            text += f" Fighting {span} (a dispute with more than 25 deaths, begun or still under"
            text += f" way at the end of a year): {self.fighting['text']}."
        return text

    def _going_on(self, dispute: UnderWay, kind: str, risk: str, base: str) -> str:
        """What leads the answer where a dispute is under way."""
        shown = dispute.years if self.horizon <= 2 else (dispute.years[0], dispute.years[-1])
        parts = []
        for year in shown:
            lower, upper = year["still_interval"]
            step = rounding_step(year["still"], [upper - lower])
            still = percentage(year["still"], step)
            parts.append(
                f"at the end of {year['year']} with {still} ({kind}"
                f" {percentage_interval(lower, upper, step)})"
            )
        since = date_words(dispute.since, dispute.since_precision)
        text = f"a conflict of the two is under way since {since}. It is still under way "
        text += " and ".join(parts)
        if dispute.years[0]["further"] is None:
            return f"{text}. The model says nothing of a further one: {self.handling}"
        beside = "beside it" if self.horizon == 1 else f"by the end of {self.last_year}"
        further = {
            "onset": "a further one begins",
            "fatal": "a further one that costs at least one life begins",
            "deaths_25": "a further one that costs more than 25 lives begins",
            "deaths_1000": "a further one that costs more than 999 lives begins",
        }[self.severity]
        return f"{text}; {further} {beside} with {risk}; {base}."


def date_words(date: str, precision: str) -> str:
    """As much of an ISO date as is known."""
    return date[: {"day": 10, "month": 7}.get(precision, 4)]
