"""The tidy tables that every source is read into, the years each covers, and how completely.

A record of conflicts that is searched from public sources misses small incidents, and not equally
in all years. Up to the end of a complete list its share of the list is measured
(``benchmarks/recall.py``); after it nothing can be measured, and a declared prior takes over that
widens year by year (`Recall`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

from forecast.errors import ArgumentError

__all__ = [
    "EXTRA_TABLES",
    "OBLIGATIONS",
    "OTHER_SIDE",
    "TABLES",
    "Coverage",
    "Reading",
    "Recall",
    "Tables",
    "amended_words",
]

#: Obligation classes in the order of the `obligation` dimension (ATOP's five).
OBLIGATIONS: tuple[str, ...] = ("defense", "offense", "neutrality", "nonaggression", "consultation")

#: Names of the tables, in the order in which foreign keys can be checked.
TABLES: tuple[str, ...] = (
    "states",
    "powers",
    "contiguity",
    "capabilities",
    "alliances",
    "members",
    "conflicts",
)

#: Tables that a data set may have besides; a feature that needs one is missing without it.
EXTRA_TABLES: tuple[str, ...] = (
    "treaty_design",
    "disputes",
    "participants",
    "rivalries",
    "regimes",
    "polity",
    "troops",
    "trade",
    "dyadic_trade",
    "igos",
    "distances",
)


#: What a value of ``initiator`` or ``outcome`` is when the two states of a row change places.
OTHER_SIDE: Mapping[str, str] = {
    **{"a": "b", "b": "a"},
    **{"victory_a": "victory_b", "victory_b": "victory_a"},
    **{"yield_a": "yield_b", "yield_b": "yield_a"},
}


@dataclass(frozen=True, eq=False)
class Reading:
    """What a reader made of one source: one kind of fact, tidy, and the years it covers.

    `table` is a key of `forecast.sources.schemas.SCHEMAS`. `first` and `last` are read off the
    file, or stated by its authors where its rows cannot tell: spells that are open at the end of
    the data. `notes` are what the reader had to leave out or decide, with counts; part of the
    provenance.
    """

    table: str
    frame: pd.DataFrame
    first: int
    last: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Coverage:
    """First and last calendar year that a table covers, and where it comes from.

    Attributes
    ----------
    first, last : int
        Calendar years, inclusive. Outside them a value is missing, never zero.
    source : str
        Name of the source, e.g. ``"alliance-forecast embedded data set"``.
    version : str
        Release of the source.
    licence : str
        Licence under which the source may be used.
    amended_after : int or None
        Years after it rest on changes that this library added to the source (alliances since the
        last release), to `last`; None where nothing was added.
    notes : tuple of str
        What was left out, cut or decided on the way from the source to the table, with counts.
    recall : Recall or None
        Of conflicts: the share of what happened that is on record, as the data set declares it;
        None where the source is a complete list, or says nothing.
    columns : mapping of str to (int, int)
        First and last year of columns that are covered for less than the table; outside them
        what rests on the column is missing.
    amended_by : tuple of str
        The user's own amendments of the table (`forecast.sources.overlay`), in the order in which
        they were applied: ``"NAME (n rows, hash)"``. Part of the fingerprint of the data.
    declared_after : int or None
        Years after it are covered because the user declares so; None where nothing was declared.
    """

    first: int
    last: int
    source: str
    version: str
    licence: str
    amended_after: int | None = None
    notes: tuple[str, ...] = ()
    recall: Recall | None = None
    columns: Mapping[str, tuple[int, int]] = field(default_factory=dict, hash=False)
    amended_by: tuple[str, ...] = ()
    declared_after: int | None = None

    def __post_init__(self) -> None:
        for name in ("notes", "amended_by"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        years = {name: (int(first), int(last)) for name, (first, last) in self.columns.items()}
        object.__setattr__(self, "columns", years)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Coverage:
        """What `to_dict` gave."""
        recall = values.get("recall")
        return cls(**{**values, "recall": None if recall is None else Recall(**recall)})

    def recall_words(self, year: int, outcome: str) -> str:
        """How much of what happens in a year is on record, in a sentence; empty if undeclared."""
        return "" if self.recall is None else self.recall.sentence(year, outcome)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {
            "first": self.first,
            "last": self.last,
            "source": self.source,
            "version": self.version,
            "licence": self.licence,
            "amended_after": self.amended_after,
            "notes": list(self.notes),
            "recall": None if self.recall is None else self.recall.to_dict(),
            "columns": {name: list(years) for name, years in self.columns.items()},
            "amended_by": list(self.amended_by),
            "declared_after": self.declared_after,
        }


def amended_words(coverage: Mapping[str, Mapping[str, Any]]) -> str:
    """What the user changed in a data set, in a sentence; empty if nothing.

    `coverage` has ``Coverage.to_dict()`` of each table, as in ``Risk.vintage``; an artifact that
    was written before there were amendments has none.
    """
    names = dict.fromkeys(name for c in coverage.values() for name in c.get("amended_by", ()))
    if not names:
        return ""
    declared = [
        f"{table} to {c['last']}"
        for table, c in coverage.items()
        if c.get("declared_after") is not None
    ]
    more = f"; covered because the user declares so: {', '.join(declared)}" if declared else ""
    return f"Data amended by the user: {', '.join(names)}{more}."


def vintage_words(name: str | None, coverage: Mapping[str, Mapping[str, Any]]) -> str:
    """Which data they are, of which years and version, and what the user changed, in a line."""
    if not coverage:
        return "none of ours: rows that were brought along"
    told = [n for n in ("conflicts", "members", "capabilities") if n in coverage]
    labels = {"members": "alliances"}
    each = {
        n: f"{c['source']} {c['version']}".strip() + f", {c['first']}–{c['last']}"
        for n in told
        for c in [coverage[n]]
    }
    same = len(set(each.values())) == 1
    parts = [f"{labels.get(n, n)} {words}" for n, words in each.items()]
    text = next(iter(each.values())) if same else f"{name}: {'; '.join(parts)}"
    return " ".join(filter(None, (text + ".", amended_words(coverage))))


@dataclass(frozen=True, eq=False)
class Tables:
    """Tidy tables of one data set.

    Attributes
    ----------
    states, powers, contiguity, capabilities, alliances, members, conflicts : pandas.DataFrame
        One row per spell, state-year or dyadic conflict; columns as in ``data/README.md``.
        Dates are ``datetime64[s]``, an open end is ``NaT``.
    coverage : mapping of str to Coverage
        Keyed by table name.
    name : str
        Name of the data set, e.g. ``"embedded"``.
    fingerprint : str
        SHA-256 (hex) of the content of all tables; part of a fit's identity.
    extra : mapping of str to pandas.DataFrame
        Those of `EXTRA_TABLES` that the data set has; `coverage` has an entry for each.
    """

    states: pd.DataFrame
    powers: pd.DataFrame
    contiguity: pd.DataFrame
    capabilities: pd.DataFrame
    alliances: pd.DataFrame
    members: pd.DataFrame
    conflicts: pd.DataFrame
    coverage: Mapping[str, Coverage]
    name: str
    fingerprint: str = field(default="")
    extra: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def vintage(self) -> dict[str, Any]:
        """Years, source and changes of each table, as plain dictionaries."""
        return {name: cover.to_dict() for name, cover in self.coverage.items()}

    def with_tables(self, *, fingerprint: str, **tables: pd.DataFrame) -> Tables:
        """Copy with some tables replaced (a scenario's edited `members`, say)."""
        changes: dict[str, Any] = {**tables, "fingerprint": fingerprint}
        return replace(self, **changes)


#: Class of deaths from which an outcome counts a conflict; the others count it whatever it cost.
_DEATHS_FROM: Mapping[str, str] = {
    "fatal_onset": "fatal",
    "deaths_25_onset": "deaths_25",
    "war_onset": "deaths_25",
}
#: Years of which the mean level of onsets is learned, before the first that is forecast: what a
#: forecast carries on is how the record saw in the middle of them.
_LEVEL_YEARS = 10


@dataclass(frozen=True)
class Recall:
    """Declared prior of the share of conflicts that a record holds.

    The log-odds of the share are normal in `last`, the last year in which it is measured, and a
    random walk after it: common to all regions, and one for each region.

    Attributes
    ----------
    against : str
        The list by which it is measured, and what of it.
    last : int
        Last year of that list.
    share : mapping of str to float
        Share of the list's disputes that are on the record, by class: ``any``, ``fatal`` (at
        least one death), ``deaths_25`` (more than 25).
    log_odds_sd : float
        Standard deviation of its log-odds in `last`.
    drift, regional_drift : float
        Standard deviations of the two random walks over ten years.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    against: str
    last: int
    share: Mapping[str, float]
    log_odds_sd: float
    drift: float
    regional_drift: float

    def __post_init__(self) -> None:
        shares = dict(self.share)
        if set(shares) != {"any", "fatal", "deaths_25"} or not all(
            0.0 < value < 1.0 for value in shares.values()
        ):
            raise ArgumentError(
                f"recall.share: found {shares}, expected a share between 0 and 1 for each of 'any',"
                " 'fatal', 'deaths_25'."
            )
        if min(self.log_odds_sd, self.drift, self.regional_drift) < 0:
            raise ArgumentError("recall: expected standard deviations of at least 0.")
        object.__setattr__(self, "share", MappingProxyType(shares))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"share": dict(self.share)}

    def interval(self, year: int, outcome: str = "onset", *, level: float = 0.9) -> list[float]:
        """Median and equal-tailed interval, over regions, of the share on record in a year.

        Of conflicts that count as an onset for `outcome`, with probability `level`; up to `last`
        only the uncertainty of the measurement.
        """
        from scipy.special import ndtri

        far = ndtri(0.5 + level / 2.0) * self._sd(year)
        center = logit(self._share(outcome))
        return [float(expit(center + d)) for d in (0.0, -far, far)]

    def _share(self, outcome: str) -> float:
        return self.share[_DEATHS_FROM.get(outcome, "any")]

    def _sd(self, year: int) -> float:
        """Standard deviation of the log-odds that all regions have in common."""
        return float(
            np.hypot(self.log_odds_sd, self.drift * np.sqrt(max(year - self.last, 0) / 10))
        )

    def factors(
        self,
        outcome: str,
        regions: int,
        *,
        origin: int,
        horizon: int,
        draws: int,
        rng: np.random.Generator,
    ) -> npt.NDArray[np.float32]:
        """Recording in years to come, relative to that behind the level of a forecast.

        A forecast carries on the level of the last years on record. What will be recorded differs
        by how the share changes from the middle of them to the year. Factors have mean one: they
        widen totals and do not move them.

        Shape (horizon, regions, draws), for the years after `origin`, the last on record.
        """
        middle = float(logit(self._share(outcome)))
        now = middle + self._sd(origin) * rng.standard_normal(draws)
        steps = np.full(horizon, 1.0)
        steps[0] += _LEVEL_YEARS / 2.0
        scale = np.sqrt(steps / 10.0)[:, None, None]
        common = (self.drift * scale * rng.standard_normal((horizon, 1, draws))).cumsum(axis=0)
        own = self.regional_drift * scale * rng.standard_normal((horizon, regions, draws))
        found = expit(now + common + own.cumsum(axis=0)) / expit(now)
        return np.asarray(found / found.mean(axis=2, keepdims=True), dtype=np.float32)

    def sentence(self, year: int, outcome: str = "onset") -> str:
        """What the prior says of one year, in words."""
        middle, lower, upper = self.interval(year, outcome)
        return (
            f"To {self.last} the record holds {self.share[_DEATHS_FROM.get(outcome, 'any')]:.0%} of"
            f" {self.against}; for {year}, where nothing can be measured, its declared prior is"
            f" {middle:.0%} (90% equal-tailed interval {lower:.0%} to {upper:.0%})."
        )
