"""The tidy tables that every source is read into, and the years each covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

__all__ = ["EXTRA_TABLES", "OBLIGATIONS", "TABLES", "Coverage", "Reading", "Tables"]

#: Obligation classes in the order of the `obligation` dimension (ATOP's five).
OBLIGATIONS: tuple[str, ...] = (
    "defense",
    "offense",
    "neutrality",
    "nonaggression",
    "consultation",
)

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
    "rivalries",
    "regimes",
    "polity",
    "troops",
    "trade",
    "dyadic_trade",
    "igos",
    "distances",
    "treaty_design",
    "disputes",
    "participants",
)


@dataclass(frozen=True, eq=False)
class Reading:
    """What a reader made of one source: one kind of fact, tidy, and the years it covers.

    Attributes
    ----------
    table : str
        Kind of fact: a key of `forecast.sources.schemas.SCHEMAS`.
    frame : pandas.DataFrame
        Columns as in that schema.
    first, last : int
        Calendar years that the file itself covers, inclusive (read off it, or stated by its
        authors where its rows cannot tell: spells that are open at the end of the data).
    notes : tuple of str
        What the reader had to leave out or decide, with counts; part of the provenance.
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
    """

    first: int
    last: int
    source: str
    version: str
    licence: str
    amended_after: int | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(self.notes))

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
        }


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

    def with_tables(self, *, fingerprint: str, **tables: pd.DataFrame) -> Tables:
        """Copy with some tables replaced (a scenario's edited `members`, say)."""
        changes: dict[str, Any] = {**tables, "fingerprint": fingerprint}
        return replace(self, **changes)
