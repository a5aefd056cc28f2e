"""COW Formal Alliances, release 4.1 (1816 to 2012).

Roles
-----
``by_member``
    ``alliance_v4.1_by_member.csv``: one row per spell of a member in an alliance, columns
    ``version4id, ccode, all_st_*, all_end_*, ss_type, mem_st_*, mem_end_*, left_censor,
    right_censor, defense, neutrality, nonaggression, entente``; dates in ``*_day, *_month,
    *_year``. Gives ``alliances`` and ``members``.
``member_yearly``
    ``alliance_v4.1_by_member_yearly.csv``: the same spells, repeated for each ``year``. Read only
    where there is no ``by_member``.
``by_directed``
    ``alliance_v4.1_by_directed.csv``: one row per spell of an ordered pair, ``ccode1`` being the
    state that owes. Gives ``obligation_years``.
``by_dyad``
    ``alliance_v4.1_by_dyad.csv``: one row per spell of a pair, with ``asymmetric``. Read only
    where there is no ``by_directed``.
``directed_yearly``, ``dyad_yearly``
    The same by ``year``; read only where there is neither. peacesciencer's ``cow_alliance``
    (``ccode1, ccode2, year, cow_defense, cow_neutral, cow_nonagg, cow_entente``) is accepted as
    ``dyad_yearly``: it does not say which side owes.

The flags are not exclusive. They are read as: ``defense``, ``neutrality``, ``nonaggression`` as
such, ``entente`` as consultation; COW codes no offensive obligations, conditions, wartime pacts or
institutions, so those columns are 0 here and mean "not coded" (features made of them are missing):
take ATOP for them.

Traps:

- An empty end is "in force on 2012-12-31" (``right_censor`` = 1); ``mem_end_year`` of the file by
  year is 2012 in those rows.
- Alliance 227 (NATO) lists nobody who joined in 2004 or 2009.
- Three flags are empty (nonaggression of the United Kingdom in alliance 6, entente of Iran and
  Turkey in 122): they are read as "not owed", and noted.
- The file by dyad and year has rows of year 0 (dyads 2-666 and 651-666), and the directed one by
  year holds the same obligations in both directions: both are refused, with the file to take.
- Where an obligation is ``asymmetric``, the file by dyad does not say who owes; the members' own
  flags do, if ``by_member`` is there. Belgium owed France nothing in 1832.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.errors import DataError
from forecast.sources.cells import Kind
from forecast.sources.official.readings import (
    OfficialReader,
    combine_obligations,
    dates_of,
    given_roles,
    reading_of,
)
from forecast.sources.reader import columns_of, read_official
from forecast.sources.schemas import SCHEMAS
from forecast.sources.spells import expand_years
from forecast.sources.tables import OBLIGATIONS, Reading

__all__ = ["READERS", "expand_obligations"]

_ROLES: Mapping[str, str] = {
    "by_member": "alliance_v4.1_by_member.csv, member spells",
    "member_yearly": "alliance_v4.1_by_member_yearly.csv, member years",
    "by_directed": "alliance_v4.1_by_directed.csv, directed dyad spells",
    "by_dyad": "alliance_v4.1_by_dyad.csv, dyad spells",
    "directed_yearly": "alliance_v4.1_by_directed_yearly.csv, directed dyad-years",
    "dyad_yearly": "alliance_v4.1_by_dyad_yearly.csv, dyad-years",
}

_FIRST, _LAST = 1816, 2012
_NOT_CODED = (
    "0 in the columns of institutions, conditions, peaceful settlement and wartime: not coded by "
    "this source"
)
_FLAGS: dict[str, Kind] = dict.fromkeys(
    ("defense", "neutrality", "nonaggression", "entente"), "flag?"
)
_OBLIGATION_OF = {"entente": "consultation"}
_PROCESSED: Mapping[str, str] = {
    "cow_defense": "defense",
    "cow_neutral": "neutrality",
    "cow_nonagg": "nonaggression",
    "cow_entente": "entente",
}
_PAIR = {"ccode1": "ccode_owing", "ccode2": "ccode_owed"}


def read(files: Mapping[str, Path]) -> list[Reading]:
    """``alliances`` and ``members`` of a file of members, ``obligation_years`` of one of dyads."""
    given_roles(files, _ROLES, *((role,) for role in _ROLES))
    readings: list[Reading] = []
    members = next((files[r] for r in ("by_member", "member_yearly") if r in files), None)
    spells = None if members is None else _member_spells(members)
    if members is not None and spells is not None:
        readings += [_alliances(spells, members), _members(spells, members)]
    if "by_directed" in files:
        readings.append(_dyads(files["by_directed"], None))
    elif "by_dyad" in files:
        readings.append(_dyads(files["by_dyad"], spells))
    elif "directed_yearly" in files:
        readings.append(_yearly(files["directed_yearly"]))
    elif "dyad_yearly" in files:
        readings.append(_yearly(files["dyad_yearly"]))
    return readings


def _reading(table: str, frame: pd.DataFrame, path: Path, notes: tuple[str, ...]) -> Reading:
    return reading_of(table, frame, file=path.name, first=_FIRST, last=_LAST, notes=notes)


def _three(prefix: str) -> dict[str, Kind]:
    """Year, month and day, as the file names them."""
    return {f"{prefix}_{p}": "year?" if p == "year" else "int?" for p in ("year", "month", "day")}


def _dates(raw: pd.DataFrame, prefix: str, path: Path, *, last: bool = False) -> pd.Series:
    columns = [f"{prefix}_{part}" for part in ("year", "month", "day")]
    return dates_of(raw, columns, last=last, file=path.name)[0]


def _owed(raw: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The five obligations as 0/1, and what had to be decided."""
    flags = raw[list(_FLAGS)]
    empty = int(flags.isna().to_numpy().sum())
    notes = (f"{empty} empty flags of obligations read as not owed",) if empty else ()
    owed = flags.rename(columns=_OBLIGATION_OF).fillna(0).astype(np.int64).assign(offense=0)
    return owed[list(OBLIGATIONS)], notes


def _member_spells(path: Path) -> pd.DataFrame:
    columns: dict[str, Kind] = {"version4id": "int", "ccode": "int", "right_censor": "int"}
    for prefix in ("all_st", "all_end", "mem_st", "mem_end"):
        columns |= _three(prefix)
    raw = read_official(path, columns | _FLAGS)
    start, end = _dates(raw, "mem_st", path), _dates(raw, "mem_end", path, last=True)
    spells = raw.assign(
        alliance_id=pd.array([f"cow-{i}" for i in raw["version4id"]], dtype="str"),
        start=start,
        end=end.mask(raw["right_censor"] == 1),
        signed=_dates(raw, "all_st", path),
        ended=_dates(raw, "all_end", path, last=True),
    )
    return spells.drop_duplicates(["version4id", "ccode", "start"])


def _alliances(spells: pd.DataFrame, path: Path) -> Reading:
    by_id = spells.groupby("version4id")
    first = spells.drop_duplicates("version4id").sort_values("version4id")
    number = first["version4id"].astype("str")
    size = by_id["ccode"].nunique().to_numpy()
    frame = pd.DataFrame(
        {
            "alliance_id": first["alliance_id"],
            "name": "COW alliance " + number,
            "short_name": "COW " + number,
            "start": first["signed"],
            "end": first["ended"],
            "kind": pd.array(np.where(size > 2, "multilateral", "bilateral"), dtype="str"),
            "source": "COW Formal Alliances 4.1, alliance " + number,
        },
        index=first.index,
    )
    for name in SCHEMAS["alliances"].columns:
        if name not in frame:
            frame[name] = np.int64(0)
    return _reading("alliances", frame, path, (_NOT_CODED,))


def _members(spells: pd.DataFrame, path: Path) -> Reading:
    owed, notes = _owed(spells)
    frame = pd.concat([spells[["alliance_id", "ccode", "start", "end"]], owed], axis=1)
    return _reading("members", frame, path, notes)


def _dyads(path: Path, members: pd.DataFrame | None) -> Reading:
    columns: dict[str, Kind] = {"version4id": "int", "ccode1": "int", "ccode2": "int"}
    columns |= {"right_censor": "int", **_three("dyad_st"), **_three("dyad_end"), **_FLAGS}
    raw = read_official(path, columns, optional={"asymmetric": "int?"})
    owed, notes = _owed(raw)
    spells = pd.concat([raw.rename(columns=_PAIR)[["version4id", *_PAIR.values()]], owed], axis=1)
    spells["first"] = raw["dyad_st_year"].to_numpy(dtype=np.int64)
    last = raw["dyad_end_year"].mask(raw["right_censor"] == 1, _LAST)
    spells["last"] = last.to_numpy(dtype=np.int64, na_value=_LAST)
    spells["asymmetric"] = (raw["asymmetric"] == 1).fillna(False).to_numpy(dtype=bool)
    if "asymmetric" in columns_of(path):
        spells = pd.concat([spells, _mirrored(spells)])
        if members is not None:
            spells = _one_sided(spells, members)
        elif spells["asymmetric"].any():
            count = int(spells["asymmetric"].sum()) // 2
            notes += (f"{count} one-sided obligations of a dyad counted for both sides",)
    frame = expand_obligations(spells, spells["first"], spells["last"], window=(_FIRST, _LAST))
    return _reading("obligation_years", frame, path, notes)


def expand_obligations(
    spells: pd.DataFrame, first: pd.Series, last: pd.Series, *, window: tuple[int, int]
) -> pd.DataFrame:
    """Obligations of spells in every year of the window that they touch, combined over treaties.

    `spells` has ``ccode_owing, ccode_owed`` and the five obligations as 0/1.
    """
    row, year = expand_years(
        first.to_numpy(dtype=np.int64), last.to_numpy(dtype=np.int64), window=window
    )
    columns = ["ccode_owing", "ccode_owed", *OBLIGATIONS]
    return combine_obligations(spells[columns].iloc[row].assign(year=year))


def _mirrored(spells: pd.DataFrame) -> pd.DataFrame:
    return spells.rename(columns={"ccode_owing": "ccode_owed", "ccode_owed": "ccode_owing"})


def _one_sided(spells: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame:
    """Where a dyad's obligations are asymmetric, those that the owing side has as a member."""
    owed, _ = _owed(members)
    keys = members[["version4id", "ccode"]].rename(columns={"ccode": "ccode_owing"})
    year = members["start"].dt.year.astype(np.int64)
    own = pd.concat([keys, owed], axis=1).assign(member_first=year)
    # Of several spells of a member, the latest that had begun by then.
    position = np.arange(len(spells))
    joined = spells[["version4id", "ccode_owing", "first"]].assign(position=position)
    joined = joined.merge(own, on=["version4id", "ccode_owing"])
    joined = joined[joined["member_first"] <= joined["first"]].sort_values("member_first")
    joined = joined.drop_duplicates("position", keep="last").set_index("position")
    replace = spells["asymmetric"].to_numpy() & np.isin(position, joined.index)
    out = spells.copy()
    for name in OBLIGATIONS:
        values = out[name].to_numpy(copy=True)
        values[replace] &= joined[name].reindex(position[replace]).to_numpy(dtype=np.int64)
        out[name] = values
    return out


def _yearly(path: Path) -> Reading:
    header = columns_of(path)
    if "cow_defense" in header:
        columns: dict[str, Kind] = dict.fromkeys(_PROCESSED, "flag?")
        keys: dict[str, Kind] = {"ccode1": "int", "ccode2": "int", "year": "year"}
        raw = read_official(path, keys | columns, rename=_PROCESSED)
    else:
        keys = {"version4id": "int", "ccode1": "int", "ccode2": "int", "year": "year"}
        raw = read_official(path, keys | _FLAGS, na={"year": ()})
        _refuse_year_zero(raw, path)
    owed, notes = _owed(raw)
    rows = pd.concat([raw.rename(columns=_PAIR), owed], axis=1)
    rows = rows.loc[:, ~rows.columns.duplicated(keep="last")]
    if "cow_defense" not in header and "asymmetric" not in header:
        _refuse_undirected(rows, path)
    else:
        notes += ("obligations of a dyad counted for both sides",)
        rows = pd.concat([rows, _mirrored(rows)])
    frame = combine_obligations(rows)
    return _reading("obligation_years", frame, path, notes)


def _refuse_year_zero(raw: pd.DataFrame, path: Path) -> None:
    zero = raw[raw["year"] == 0]
    if zero.empty:
        return
    dyads = sorted({f"{a}-{b}" for a, b in zip(zero["ccode1"], zero["ccode2"], strict=True)})
    raise DataError(
        f"{path.name}, row {zero.index[0]}, column 'year': found 0 in {len(zero)} rows (dyads "
        f"{', '.join(dyads)}), expected a calendar year. This is a fault of the release: take "
        "alliance_v4.1_by_dyad.csv of the same archive (role by_dyad), which has the spells."
    )


def _refuse_undirected(rows: pd.DataFrame, path: Path) -> None:
    """A file that is called directed, but holds one obligation for both sides of every pair."""
    keys = ["version4id", "ccode_owing", "ccode_owed", "year"]
    both = rows.merge(_mirrored(rows)[[*keys, *OBLIGATIONS]], on=keys, suffixes=("", "_back"))
    differ = [(both[name] != both[f"{name}_back"]).any() for name in OBLIGATIONS]
    if len(both) >= len(rows) and any(differ):
        return
    found = (
        "only one direction of a pair"
        if len(both) < len(rows)
        else "the same obligations in both directions of every pair"
    )
    raise DataError(
        f"{path.name}: found {found}, expected directed obligations. This is a fault of the "
        "release: take alliance_v4.1_by_directed.csv of the same archive (role by_directed)."
    )


READERS: Mapping[str, OfficialReader] = {"cow_alliances": OfficialReader(_ROLES, read)}
