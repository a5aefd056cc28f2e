"""Alliances since the last release of ATOP: changes of our own data, carried over.

ATOP ends in 2016 (4.01) or 2018 (5.1). Our own data (`data/alliances.csv`, `data/members.csv`)
list what changed since. Only changes are carried over, never differences between the two at the
seam: a state that both list before the seam is no accession after it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import DataError, MissingFileError
from forecast.paths import data_folder
from forecast.sources.tables import OBLIGATIONS

__all__ = ["amend_alliances", "read_counterparts", "usual_pledge"]

FILE = "amendments.toml"
_DAY = np.timedelta64(1, "D")


class Amended(NamedTuple):
    """Alliances and members with the changes since, and what was changed."""

    alliances: pd.DataFrame
    members: pd.DataFrame
    notes: tuple[str, ...]


def read_counterparts(path: Path | None = None) -> dict[str, str]:
    """Identifier in ATOP of those treaties of our own data that changed since: ``nato: atop-3180``.

    From ``data/amendments.toml``: a table ``[atop]`` of our identifiers with ATOP's numbers.
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
    """Alliances and members of a source with what changed after its last year, and the changes.

    What is open in the source is in force on 31 December of `after`. Accessions, exits,
    terminations and new treaties come from our own data; `counterparts` are the identifiers in the
    source of treaties of our own. A state that joins a treaty of the source owes what most of its
    members owe; treaties with a counterpart have its short name. The notes count the changes, and
    name those that have no counterpart in the source.
    """
    seam = np.datetime64(f"{after + 1}-01-01", "s")
    own = own_alliances.set_index("alliance_id")
    new = own["start"] >= seam
    # What ends on the last day before the seam is no longer in force on the first after it.
    over = set(own.index[~new & (own["end"] >= seam - _DAY)])
    ended = dict(zip(own.index, own["end"].to_numpy(), strict=True))
    moved = own_members[~own_members["alliance_id"].isin(own.index[new])]
    moved = moved[(moved["start"] >= seam) | (moved["end"] >= seam - _DAY)]
    change, alone = _Changes(members), []
    for treaty in sorted({*over, *moved["alliance_id"]}):
        target = counterparts.get(treaty)
        if target is None or not change.in_force(target):
            alone.append(treaty)
            continue
        its = moved[moved["alliance_id"] == treaty]
        for ccode, start, end in zip(
            its["ccode"], its["start"].to_numpy(), its["end"].to_numpy(), strict=True
        ):
            if start >= seam:
                change.accession(target, int(ccode), start, end)
            elif end != ended[treaty]:
                change.exit(target, int(ccode), end)
        if treaty in over:
            change.termination(target, ended[treaty])
    closed = alliances["alliance_id"].map(change.terminated).astype("datetime64[s]")
    # Names in use, so that "NATO" can be asked for.
    usual = own["short_name"]
    names = {there: usual[ours] for ours, there in counterparts.items() if ours in usual}
    short = alliances["alliance_id"].map(names).fillna(alliances["short_name"])
    done = alliances.assign(
        end=alliances["end"].where(closed.isna(), closed),
        short_name=short.astype(alliances["short_name"].dtype),
    )
    count = {**change.count, "new treaties": int(new.sum())}
    counted = ", ".join(f"{number} {what}" for what, number in count.items())
    notes = [f"Since {after} from the embedded data: {counted}."]
    if alone:
        notes.append(f"Changed since {after}, but not in force in the source: {', '.join(alone)}.")
    added = [table["alliance_id"].isin(own.index[new]) for table in (own_alliances, own_members)]
    spells = _joined(change.members(), own_members[added[1]])
    spells = spells.sort_values(["alliance_id", "ccode", "start"], ignore_index=True)
    return Amended(_joined(done, own_alliances[added[0]]), spells, tuple(notes))


def usual_pledge(owed: npt.NDArray[np.integer]) -> dict[str, int]:
    """What most members of a treaty owe: what a state that joins it owes, too.

    `owed` is 0/1 by member and obligation, in the order of `OBLIGATIONS`; at least one member.
    """
    each, often = np.unique(owed, axis=0, return_counts=True)
    return dict(zip(OBLIGATIONS, each[often.argmax()].tolist(), strict=True))


class _Changes:
    """Members of a source's treaties while they are being changed, and a count of the changes."""

    def __init__(self, members: pd.DataFrame) -> None:
        self._table = members
        self._ids = members["alliance_id"].to_numpy(dtype=object)
        self._codes = members["ccode"].to_numpy()
        self._ends = members["end"].to_numpy(dtype="datetime64[s]").copy()
        self._owed = members[list(OBLIGATIONS)].to_numpy()
        self._joined: list[dict[str, Any]] = []
        self.terminated: dict[str, Any] = {}
        self.count = {"accessions": 0, "exits": 0, "terminations": 0}

    def _open(self, treaty: str) -> npt.NDArray[np.bool_]:
        return np.asarray((self._ids == treaty) & np.isnat(self._ends))

    def in_force(self, treaty: str) -> bool:
        return bool(self._open(treaty).any())

    def exit(self, treaty: str, ccode: int, day: np.datetime64) -> None:
        spell = self._open(treaty) & (self._codes == ccode)
        self._ends[spell] = day
        self.count["exits"] += int(spell.any())

    def accession(self, treaty: str, ccode: int, start: np.datetime64, end: np.datetime64) -> None:
        still = self._open(treaty)
        if (still & (self._codes == ccode)).any():
            return
        pledge = usual_pledge(self._owed[still])
        row = {"alliance_id": treaty, "ccode": ccode, "start": start, "end": end}
        self._joined.append(row | pledge)
        self.count["accessions"] += 1

    def termination(self, treaty: str, day: np.datetime64) -> None:
        self._ends[self._open(treaty)] = day
        for row in self._joined:
            if row["alliance_id"] == treaty and np.isnat(row["end"]):
                row["end"] = day
        self.terminated[treaty] = day
        self.count["terminations"] += 1

    def members(self) -> pd.DataFrame:
        """All spells of the source's treaties, with the changes."""
        table = self._table.assign(end=self._ends)
        if not self._joined:
            return table
        return _joined(table, pd.DataFrame(self._joined))


def _joined(table: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """Rows appended, with the types of the table."""
    types = table.dtypes.to_dict()
    rows = more[list(table.columns)].astype(types)
    return pd.concat([table, rows], ignore_index=True)
