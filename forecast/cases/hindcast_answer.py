"""`Hindcast`: forecasts of a case from the years before it, beside what happened, and in words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from forecast.cards import Card, Carded
from forecast.features.strata import population_words
from forecast.simulation.levels import SHORT
from forecast.simulation.paired import CAUTION
from forecast.text import interval, percent, points, points_interval

__all__ = ["Hindcast", "verdict_words"]


@dataclass(frozen=True, eq=False, repr=False)
class Hindcast(Carded):
    """What models fitted to the years before a case say of it, and what happened.

    Attributes
    ----------
    case, title : str
        Name and heading of the case.
    level : float
        Probability of the equal-tailed intervals.
    fits : pandas.DataFrame
        One row per question: ``question``, ``kind``, ``first_year``, ``last_year``, ``change``
        (facts that are made to happen, or not), ``undone`` (they lie before the forecast, and
        "without" takes them back), ``edits``, ``acts_from`` (first year whose risks they can move),
        ``data``, ``model``, ``fit`` (id), ``fitted_first``, ``fitted_last``, ``rows``,
        ``population``,
        ``known_to`` (last year of the forecast of which the outcome is on record), ``passed`` (the
        publication gate).
    forecasts : pandas.DataFrame
        One row per question, sides and level of severity: ``who``, ``pairs``, of which
        ``observed_rate`` have no row in the model (they are not of its population, and the observed
        rate of such pairs stands in, which no change moves), ``severity``;
        ``with`` (the change as it came), ``without`` and their paired ``difference``, each with
        ``…_lower`` and ``…_upper``: probability of at least one such onset between at least one of
        the pairs in these years; ``base_rate`` (of one pair), ``record`` (what the `evidence` says
        of such forecasts), ``happened`` (missing where it is not known), ``events`` (the conflicts
        on record that began between them). Without a change all is in ``with``.
    record : pandas.DataFrame
        How the same fits did over all pairs of their population in the same years, by question and
        level: pairs with an onset ``expected`` with the predictive ``lower`` and ``upper``,
        ``observed``, and of how many it is ``unknown``.
    yearly : pandas.DataFrame
        Questions answered year by year, by one fit: ``question``, ``year``, ``who``,
        ``asks`` (``"onset"``, or who ``"begins"``), ``probability``, ``lower``, ``upper``,
        ``expected``, ``happened``.
    settlement : pandas.DataFrame
        Whether a dispute of the two would be settled: ``question``, ``who``, ``month``;
        ``with``, ``without``, ``difference`` as above, of the hazard of the month; and the disputes
        on record ``before`` and ``after``.
    unanswered : dict of str
        Questions whose data are not there, and what they need.
    """

    case: str
    title: str
    level: float
    fits: pd.DataFrame
    forecasts: pd.DataFrame
    record: pd.DataFrame
    yearly: pd.DataFrame
    settlement: pd.DataFrame
    unanswered: dict[str, str]

    @property
    def caution(self) -> str:
        """What the numbers are not."""
        return (
            f"{CAUTION} Dates and deaths are as later scholarship coded them; the models were"
            " chosen knowing later years, and only their numbers are learnt from the years before."
        )

    @property
    def text(self) -> tuple[str, ...]:
        """The answer in sentences: for each question a heading, then a line for each side."""
        told: list[str] = []
        for fitted in self.fits.to_dict("records"):
            name = fitted["question"]
            told.append(_fitted_words({str(k): v for k, v in fitted.items()}))
            told += self._sides(name)
            told += self._own_record(name)
            for lines, table in ((_yearly_words, self.yearly), (_settled_words, self.settlement)):
                if len(table) and (table["question"] == name).any():
                    told += lines(table[table["question"] == name])
        return (*told, *self._unanswered())

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON; what is not known is None."""
        tables = {
            name: json.loads(getattr(self, name).to_json(orient="records"))
            for name in ("fits", "forecasts", "record", "yearly", "settlement")
        }
        words = {
            "unanswered": self.unanswered,
            "text": list(self.text),
            "caution": self.caution,
        }
        return {"case": self.case, "title": self.title, "level": self.level, **tables, **words}

    def __str__(self) -> str:
        """All sentences and the caution."""
        return "\n".join((self.title, *self.text, self.caution))

    def card(self) -> Card:
        """Fitted to when, the change, and both worlds beside what happened."""
        facts = [
            (
                str(f["question"]),
                f"fitted on {f['fitted_first']}–{f['fitted_last']} ({f['data']}), forecast"
                f" {f['first_year']}–{f['last_year']}{': ' + f['change'] if f['change'] else ''}",
            )
            for f in self.fits.to_dict("records")
        ]
        if self.unanswered:
            facts.append(("not answered", "; ".join(self._unanswered())))
        table = None
        if len(self.forecasts):
            own = self.forecasts[self.forecasts["severity"] == "onset"].to_dict("records")
            table = pd.DataFrame(
                {
                    "a dispute begins": [row["who"] for row in own],
                    "with": [percent(row["with"]) for row in own],
                    "without": [percent(row["without"]) for row in own],
                    "difference": [_difference(row) for row in own],
                    "happened": [_happened_words(row["happened"]) for row in own],
                }
            )
        more = "str() has every level and the record of the fit; .forecasts the numbers."
        return Card(f"Hindcast: {self.title}", facts, table=table, note=f"{more} {CAUTION}")

    def _unanswered(self) -> list[str]:
        """A sentence for each thing that is missing, with the questions that miss it."""
        lack = {
            why: [name for name in self.unanswered if self.unanswered[name] == why]
            for why in self.unanswered.values()
        }
        return [f"Not answered: {', '.join(names)}: {why}" for why, names in lack.items()]

    def _sides(self, question: str) -> list[str]:
        if not len(self.forecasts):
            return []
        own = self.forecasts[self.forecasts["question"] == question]
        return [_side_words(part) for _, part in own.groupby("who", sort=False)]

    def _own_record(self, question: str) -> list[str]:
        if not len(self.record):
            return []
        own = self.record[self.record["question"] == question]
        told = ", ".join(
            f"{SHORT[row['severity']]} {row['expected']:.0f} expected"
            f" ({row['lower']}–{row['upper']}),"
            + (" not all on record yet" if pd.isna(row["observed"]) else f" {row['observed']} seen")
            + (f" ({row['unknown']} not known)" if row["unknown"] else "")
            for row in own.to_dict("records")
        )
        if not told:
            return []
        count = int(own["pairs"].iloc[0])
        return [
            f"  How this fit did over all its {count:,} pairs in these years, number of pairs"
            f" ({self.level:.0%} predictive interval): {told}."
        ]


def _fitted_words(fitted: dict[str, Any]) -> str:
    first, last = fitted["first_year"], fitted["last_year"]
    text = (
        f"{fitted['question']}: {fitted['model']} fitted on"
        f" {fitted['fitted_first']}–{fitted['fitted_last']} ({fitted['data']} data,"
        f" {fitted['rows']:,} rows: {_rows_words(str(fitted['population']))}), forecast"
        f" {first}–{last}."
    )
    if fitted.get("change"):
        text += f" The change: {fitted['change']}."
        if fitted["undone"]:
            text += f" 'Without' takes it back on {first}-01-01."
        if fitted["acts_from"] and fitted["acts_from"] > first:
            text += f" It can move risks from {int(fitted['acts_from'])} on."
    if fitted["kind"] == "forecast":
        text += " Probability that at least one dispute begins in these years:"
    if fitted.get("passed") is False:
        text += " The fit does not pass the publication gate: read it as a sketch."
    return text


def _rows_words(population: str) -> str:
    """Whose rows they are."""
    if population == "originators":
        return "months of disputes, of those who began them"
    return population_words(population)


def _side_words(part: pd.DataFrame) -> str:
    """One pair or set: with and without the change, what happened, and the other levels."""
    row = part.iloc[0].to_dict()
    text = f"  {row['who']}: {percent(row['with'])}"
    text += f" ({interval(row['with_lower'], row['with_upper'])})"
    if pd.notna(row["without"]):
        without = f"{percent(row['without'])}"
        without += f" ({interval(row['without_lower'], row['without_upper'])})"
        text += f" with it, {without} without; difference {_difference(row)}: {verdict_words(row)}"
    elif row["observed_rate"] == row["pairs"]:
        text += f": {verdict_words(row)}"
    if 0 < row["observed_rate"] < row["pairs"]:
        text += f"; of {row['observed_rate']} of the {row['pairs']} pairs the model has no row, and"
        text += " the observed rate of such pairs stands in"
    if pd.notna(row["base_rate"]):
        text += f"; base rate {percent(row['base_rate'])}"
    happened = row["happened"]
    if pd.isna(happened):
        seen = f"not all on record yet{': ' + row['events'] if row['events'] else ''}"
    else:
        seen = f"{row['events']}" if happened else "nothing on record"
    text += f". What happened: {seen}."
    higher = "; ".join(_level_words(r) for r in part.iloc[1:].to_dict("records"))
    if higher:
        text += f" By what it cost: {higher}."
    return text + (f" Record: {row['record']}" if row["record"] else "")


def _happened_words(happened: Any) -> str:
    return "not known yet" if pd.isna(happened) else "yes" if happened else "no"


def _difference(row: dict[Any, Any]) -> str:
    """A difference of the two worlds with its interval."""
    ends = points_interval(row["difference_lower"], row["difference_upper"])
    return f"{points(row['difference'])} ({ends})"


def _level_words(row: dict[Any, Any]) -> str:
    """A higher level: both worlds, and whether it came to that."""
    text = f"{SHORT[row['severity']]} {percent(row['with'])}"
    if pd.notna(row["without"]):
        text += f", {percent(row['without'])} without"
    if pd.isna(row["happened"]):
        return f"{text} (not known)"
    return f"{text} ({'it did' if row['happened'] else 'it did not'})"


def verdict_words(row: dict[Any, Any]) -> str:
    """Whether the interval of a difference tells its sign."""
    if row.get("observed_rate") == row.get("pairs", 0):
        return "the observed rate of such pairs, of which the model has no row"
    low, high = row["difference_lower"], row["difference_upper"]
    if abs(low) < 5e-5 and abs(high) < 5e-5:
        return "the change moves nothing here"
    if low > 0:
        return "higher with it"
    return "lower with it" if high < 0 else "its sign is not told"


def _yearly_words(table: pd.DataFrame) -> list[str]:
    """For each pair how likely a year was, and the years in which a dispute began."""
    told = []
    for (who, asks), part in table.groupby(["who", "asks"], sort=False):
        came = part[part["happened"].fillna(False).astype(bool)]
        alone = part["probability"].notna().all()
        chance = (
            came["probability"].map(percent) if alone else came["expected"].map("{:.2g}".format)
        )
        years = [f"{year} ({p})" for year, p in zip(came["year"], chance, strict=True)]
        text = f"  {who} ({'who begins' if asks == 'begins' else 'a dispute begins'}): "
        if alone:
            low, high = percent(part["probability"].min()), percent(part["probability"].max())
            text += f"{low} to {high} a year, "
        text += f"{part['expected'].sum():.1f} expected in {len(part)} years"
        told.append(f"{text}; on record {', '.join(years) if years else 'none'}.")
    return told


def _settled_words(table: pd.DataFrame) -> list[str]:
    told = []
    for who, part in table.groupby("who", sort=False):
        row = part.iloc[0].to_dict()
        text = f"  {who}: a dispute of the two that lasts is settled in its first month with"
        text += f" {percent(row['with'])} ({interval(row['with_lower'], row['with_upper'])}) as it"
        text += f" came, {percent(row['without'])} without, difference {_difference(row)}:"
        text += f" {verdict_words(row)}. Disputes on record before: {row['before']}; from then on:"
        told.append(f"{text} {row['after']}.")
    return told
