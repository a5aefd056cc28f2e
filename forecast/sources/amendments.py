"""Alliances since the last release of ATOP: changes of our own data, carried over.

ATOP ends in 2016 (4.01) or 2018 (5.1). Our own data (`data/alliances.csv`, `data/members.csv`)
list what changed since. Only changes are carried over, never differences between the two at the
seam: a state that both list before the seam is no accession after it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.errors import DataError, MissingFileError
from forecast.paths import data_folder
from forecast.sources.tables import OBLIGATIONS

__all__ = ["Amended", "amend_alliances", "read_counterparts"]

FILE = "amendments.toml"


@dataclass(frozen=True, eq=False)
class Amended:
    """Alliances and members with the changes since, and what was changed."""

    alliances: pd.DataFrame
    members: pd.DataFrame
    notes: tuple[str, ...]


def read_counterparts(path: Path | None = None) -> dict[str, str]:
    """Identifier in ATOP of those treaties of our own data that changed after its releases.

    Parameters
    ----------
    path : pathlib.Path, optional
        ``data/amendments.toml`` by default: a table ``[atop]`` of our identifiers with ATOP's
        numbers.

    Returns
    -------
    dict of str to str
        E.g. ``{"nato": "atop-3180"}``.

    Raises
    ------
    MissingFileError, DataError
    """
    path = data_folder() / FILE if path is None else path
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(f"There is no file {path}. Reinstall alliance-forecast.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name}: {error}.") from None
    table = content.get("atop")
    if not isinstance(table, dict) or not all(type(v) is int for v in table.values()):
        raise DataError(f"{path.name}: found {table!r}, expected [atop] with identifier = number.")
    return {str(own): f"atop-{number}" for own, number in table.items()}


def amend_alliances(
    alliances: pd.DataFrame,
    members: pd.DataFrame,
    *,
    after: int,
    own_alliances: pd.DataFrame,
    own_members: pd.DataFrame,
    counterparts: Mapping[str, str],
) -> Amended:
    """Accessions, exits, terminations and new treaties after the last year of a source.

    Parameters
    ----------
    alliances, members : pandas.DataFrame
        Of the source. What is open is in force on 31 December of `after`.
    after : int
        Last year that the source covers.
    own_alliances, own_members : pandas.DataFrame
        Of our own data.
    counterparts : mapping of str to str
        Identifier in the source of treaties of our own data.

    Returns
    -------
    Amended
        A state that joins a treaty of the source owes what most of its members owe. The notes
        count the changes, and name those that have no counterpart in the source.
    """
    seam = pd.Timestamp(f"{after + 1}-01-01")
    change = _Changes(alliances, members)
    begun = own_alliances.set_index("alliance_id")["start"]
    ended = own_alliances.set_index("alliance_id")["end"]
    # In force no longer on the first day after the seam.
    out_of_force = own_members["end"] >= seam - pd.Timedelta(days=1)
    for treaty in own_alliances["alliance_id"]:
        own = own_members["alliance_id"] == treaty
        if begun[treaty] >= seam:
            change.new_treaty(own_alliances, own_members, treaty)
            continue
        joined = own_members[own & (own_members["start"] >= seam)]
        left = own_members[own & out_of_force]
        is_over = ended[treaty] >= seam - pd.Timedelta(days=1)
        if joined.empty and left.empty and not is_over:
            continue
        target = counterparts.get(treaty)
        if target is None or not change.in_force(target):
            change.without_counterpart.append(treaty)
            continue
        for spell in left.itertuples():
            if spell.end != ended[treaty]:
                change.exit(target, int(spell.ccode), spell.end)
        for spell in joined.itertuples():
            change.accession(target, int(spell.ccode), spell.start, spell.end)
        if is_over:
            change.termination(target, ended[treaty])
    return change.result(after)


class _Changes:
    """The two tables while they are being changed, and a count of the changes."""

    def __init__(self, alliances: pd.DataFrame, members: pd.DataFrame) -> None:
        self.alliances, self.members = alliances.copy(), members.copy()
        self.new_alliances: list[pd.DataFrame] = []
        self.new_members: list[pd.DataFrame] = []
        self.count = dict.fromkeys(("accessions", "exits", "terminations", "new treaties"), 0)
        self.without_counterpart: list[str] = []

    def _open(self, treaty: str) -> pd.Series:
        return (self.members["alliance_id"] == treaty) & self.members["end"].isna()

    def in_force(self, treaty: str) -> bool:
        return bool(self._open(treaty).any())

    def exit(self, treaty: str, ccode: int, day: pd.Timestamp) -> None:
        spell = self._open(treaty) & (self.members["ccode"] == ccode)
        self.members.loc[spell, "end"] = day
        self.count["exits"] += int(spell.any())

    def accession(self, treaty: str, ccode: int, start: pd.Timestamp, end: pd.Timestamp) -> None:
        still = self._open(treaty)
        if (still & (self.members["ccode"] == ccode)).any():
            return
        owed = self.members.loc[still, list(OBLIGATIONS)].value_counts().index[0]
        row = {"alliance_id": treaty, "ccode": ccode, "start": start, "end": end}
        row |= dict(zip(OBLIGATIONS, owed, strict=True))
        self.new_members.append(pd.DataFrame([row]))
        self.count["accessions"] += 1

    def termination(self, treaty: str, day: pd.Timestamp) -> None:
        self.members.loc[self._open(treaty), "end"] = day
        self.alliances.loc[self.alliances["alliance_id"] == treaty, "end"] = day
        for rows in self.new_members:
            late = (rows["alliance_id"] == treaty) & rows["end"].isna()
            rows.loc[late, "end"] = day
        self.count["terminations"] += 1

    def new_treaty(
        self, own_alliances: pd.DataFrame, own_members: pd.DataFrame, treaty: str
    ) -> None:
        self.new_alliances.append(own_alliances[own_alliances["alliance_id"] == treaty])
        self.new_members.append(own_members[own_members["alliance_id"] == treaty])
        self.count["new treaties"] += 1

    def result(self, after: int) -> Amended:
        members = _joined(self.members, self.new_members)
        alliances = _joined(self.alliances, self.new_alliances)
        made = ", ".join(f"{number} {what}" for what, number in self.count.items())
        notes = [f"Since {after} from the embedded data: {made}."]
        if self.without_counterpart:
            treaties = ", ".join(self.without_counterpart)
            notes.append(f"Changed since {after}, but not in force in the source: {treaties}.")
        return Amended(
            alliances=alliances.sort_values("alliance_id", ignore_index=True),
            members=members.sort_values(["alliance_id", "ccode", "start"], ignore_index=True),
            notes=tuple(notes),
        )


def _joined(table: pd.DataFrame, more: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows appended, with the types of the table."""
    if not more:
        return table
    extra = [rows[list(table.columns)] for rows in more]
    dates = dict.fromkeys(("start", "end"), "datetime64[s]")
    parts = [part.astype(dates) for part in (table, *extra)]
    out = pd.concat(parts, ignore_index=True)
    flags = [c for c in table if table[c].dtype == np.int64]
    return out.astype(dict.fromkeys(flags, np.int64))
