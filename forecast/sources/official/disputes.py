"""What the readers of disputes and wars share: codes, spells of pairs, and who began.

A spell is one pair of states opposed in one dispute without interruption. Both COW and GML count
each as an onset in the year it begins; the years that follow only continue it.

GML distributes one row for each ordered pair, dispute and year, with flags for "ongoing" and
"onset". The R package peacesciencer carries it (``gml_dirdisp``), and a reduced table with one
dispute for each pair and year (``gml_mid_ddydisps``, ``cow_mid_ddydisps``): `read_dyad_years`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import DataError
from forecast.sources.cells import Kind, refuse_cells
from forecast.sources.official.readings import dates_of, reading_of, year_dates
from forecast.sources.reader import columns_of, read_official
from forecast.sources.tables import OTHER_SIDE, Reading

__all__ = [
    "FATALITIES",
    "HOSTILITY",
    "OUTCOMES",
    "SETTLEMENTS",
    "coded",
    "conflicts_of",
    "deaths_to_class",
    "fatality_class",
    "is_dyad_years",
    "merged_spells",
    "opposed_pairs",
    "read_dyad_years",
    "until",
    "without_mirror",
]

#: Highest level of hostility, MID codebook.
HOSTILITY: Mapping[int, str] = dict(
    enumerate(("none", "threat", "display_of_force", "use_of_force", "war"), start=1)
)
#: Outcome from the viewpoint of side A. 9 is "joins ongoing war"; in the yearly rows of the dyadic
#: file 0 stands in all but the last year.
OUTCOMES: Mapping[int, str] = dict(enumerate((
    "unclear", "victory_a", "victory_b", "yield_a", "yield_b", "stalemate", "compromise",
    "released", "unclear", "unclear",
)))  # fmt: skip
SETTLEMENTS: Mapping[int, str] = dict(
    enumerate(("unclear", "negotiated", "imposed", "none", "unclear"))
)
#: Classes of battle deaths, MID codebook: 0 none, 1 1-25, 2 26-100, 3 101-250, 4 251-500,
#: 5 501-999, 6 more than 999.
FATALITIES = range(7)

IntArray = npt.NDArray[np.int64]

_PRECISIONS = ("year", "month", "day")


def coded(
    frame: pd.DataFrame,
    column: str,
    codes: Mapping[int, str],
    *,
    file: str,
    missing: str | None = None,
) -> pd.Series:
    """Words for the numbers of a column; what stands for a missing one is missing by default."""
    words = frame[column].map(dict(codes)).astype("str")
    expected = f"one of {', '.join(f'{k} ({v})' for k, v in codes.items())}"
    wrong = frame[column].notna() & words.isna()
    refuse_cells(frame, column, wrong, file=file, expected=expected)
    return words if missing is None else words.fillna(missing)


def fatality_class(frame: pd.DataFrame, column: str, *, file: str) -> pd.Series:
    """Class of battle deaths, 0 to 6, missing where the file has -9."""
    words = {code: str(code) for code in FATALITIES}
    return coded(frame, column, words, file=file).astype("Int64")


def deaths_to_class(deaths: pd.Series) -> pd.Series:
    """Class of battle deaths, 0 to 6, of a number of them; missing where that is."""
    bounds = [0, 1, 26, 101, 251, 501, 1000]
    known = deaths.to_numpy(dtype=float, na_value=np.nan)
    classes = pd.array(np.searchsorted(bounds, np.nan_to_num(known), side="right") - 1, "Int64")
    return pd.Series(classes, index=deaths.index).mask(np.isnan(known))


def without_mirror(
    table: pd.DataFrame, keys: list[str], sides: Sequence[list[str]]
) -> npt.NDArray[np.bool_]:
    """Rows of directed pairs of which there is none with both of each of `sides` exchanged."""
    one, two = ([*keys, *(c for pair in sides for c in pair[::turn])] for turn in (1, -1))
    other = pd.MultiIndex.from_frame(table[two])
    return ~np.asarray(pd.MultiIndex.from_frame(table[one]).isin(other))


def opposed_pairs(participants: pd.DataFrame) -> pd.DataFrame:
    """Each pair of a state of side A and one of side B with the days that both were in it.

    Dates that are known to the month or year only count from the first to the last day they can
    mean. Pairing over shared days, not shared years, is what keeps those apart who left before
    the other came (Norway and Italy in 1940).

    `participants` has ``number, ccode, side, role, start, end, start_precision, end_precision``; a
    state that left and came back has a row for each time. Further columns are kept, with suffixes.
    Gives ``number, ccode_1`` (side A), ``ccode_2`` (side B), ``role_1, role_2, start, end`` and the
    precisions of the later start and the earlier end; ``end`` is NaT if both are open.
    """
    side = participants["side"]
    pairs = participants[side == "a"].merge(
        participants[side == "b"], on="number", suffixes=("_1", "_2")
    )
    far = pd.Timestamp("2262-01-01")
    start_2_later = (pairs["start_2"] >= pairs["start_1"]).to_numpy(dtype=bool)
    end_1, end_2 = pairs["end_1"].fillna(far), pairs["end_2"].fillna(far)
    end_2_earlier = (end_2 <= end_1).to_numpy(dtype=bool)
    pairs["start"] = pairs["start_1"].where(~start_2_later, pairs["start_2"])
    pairs["end"] = pairs["end_1"].where(~end_2_earlier, pairs["end_2"])
    for bound, second in (("start", start_2_later), ("end", end_2_earlier)):
        same = (pairs[f"{bound}_1"] == pairs[f"{bound}_2"]).to_numpy(dtype=bool)
        one, two = (_rank(pairs[f"{bound}_precision_{i}"]) for i in (1, 2))
        rank = np.where(same, np.maximum(one, two), np.where(second, two, one))
        pairs[f"{bound}_precision"] = _precision(rank)
    together = (pairs["start"] <= pairs["end"].fillna(far)) & (pairs["ccode_1"] != pairs["ccode_2"])
    return pairs[together].reset_index(drop=True)


def _rank(precision: pd.Series) -> IntArray:
    ranks: IntArray = np.array([_PRECISIONS.index(p) for p in precision], dtype=np.int64)
    return ranks


def _precision(rank: IntArray) -> Any:
    return pd.array(np.array(_PRECISIONS)[rank], dtype="str")


def merged_spells(spells: pd.DataFrame) -> pd.DataFrame:
    """One row per spell: those of a pair in one dispute that overlap, or begin in one year, joined.

    The first row of each spell, with the last end, the highest level and class of deaths, and the
    last outcome and settlement that is not unclear. Sorted by dispute, pair and start.
    """
    far = pd.Timestamp("2262-01-01")
    low = spells[["ccode_1", "ccode_2"]].min(axis=1)
    high = spells[["ccode_1", "ccode_2"]].max(axis=1)
    table = spells.assign(_low=low, _high=high, _line=spells.index, _end=spells["end"].fillna(far))
    table = table.sort_values(["number", "_low", "_high", "start", "_end"], kind="stable")
    keys = ["number", "_low", "_high"]
    reach = table.groupby(keys, sort=False)["_end"].cummax()
    before = reach.groupby([table[k] for k in keys], sort=False).shift()
    year = table["start"].dt.year
    year_before = year.groupby([table[k] for k in keys], sort=False).shift()
    new = before.isna() | ~((table["start"] <= before) | (year == year_before))
    table["_spell"] = new.cumsum()
    if not table["_spell"].duplicated().any():
        return table.drop(columns=["_low", "_high", "_line", "_end", "_spell"])
    first: pd.DataFrame = table.loc[new].set_index("_spell")
    last = table.sort_values(["_spell", "_end"], kind="stable").groupby("_spell").last()
    open_end = table["end"].isna().groupby(table["_spell"]).any()
    first["end"] = last["_end"].mask(open_end).astype("datetime64[s]")
    first["end_precision"] = last["end_precision"]
    rank = table["level"].map({v: i for i, v in HOSTILITY.items()})
    first["level"] = rank.groupby(table["_spell"]).max().map(dict(HOSTILITY)).astype("str")
    first["deaths_class"] = table.groupby("_spell")["deaths_class"].max()
    for column in ("outcome", "settlement"):
        known = table[column].where(table[column] != "unclear")
        first[column] = known.groupby(table["_spell"]).last().fillna("unclear").astype("str")
    out: pd.DataFrame = first.set_index("_line").drop(columns=["_low", "_high", "_end"])
    out.index.name = spells.index.name
    return out


def until(frame: pd.DataFrame, last: int) -> pd.DataFrame:
    """What was known at the end of a year: no later starts; what ends later is open, ongoing."""
    known: pd.DataFrame = frame[frame["start"].dt.year <= last].copy()
    ongoing = (known["end"].isna() | (known["end"].dt.year > last)).to_numpy(dtype=bool)
    known.loc[ongoing, "end"] = pd.NaT
    if "outcome" in known:
        known.loc[ongoing, "outcome"] = "ongoing"
        known.loc[ongoing, "settlement"] = "unclear"
    return known


def conflicts_of(spells: pd.DataFrame, *, prefix: str, label: str, source: str) -> pd.DataFrame:
    """Rows of ``conflicts`` from spells in terms of sides.

    Unless the file says who began, the initiator is the state on side A if it was in the dispute
    from its first day; a joiner initiates nothing, so a pair whose side A joined later has
    initiator ``unclear``.

    `spells` as `merged_spells` returns: ``ccode_1`` is on side A; ``outcome`` is seen from side A.
    Where ``began_1`` and ``began_2`` (bool) are there, they say who initiated. `prefix` is that of
    the identifiers: ``gml-2968``, ``gml-258.2`` for a pair's second spell in the dispute; `label`
    that of the names where the spells have none.
    """
    swapped = (spells["ccode_1"] > spells["ccode_2"]).to_numpy(dtype=bool)
    number = spells["number"].astype(str)
    out = pd.DataFrame(index=spells.index)
    out["conflict_id"] = f"{prefix}-" + number
    out["name"] = spells["name"] if "name" in spells else f"{label} " + number
    for column in ("ccode", "role"):
        one, two = spells[f"{column}_1"], spells[f"{column}_2"]
        out[f"{column}_a"] = one.where(~swapped, two)
        out[f"{column}_b"] = two.where(~swapped, one)
    if "began_1" in spells:
        began = [spells[f"began_{i}"].to_numpy(dtype=bool) for i in (1, 2)]
    else:
        began = [
            (spells["role_1"] == "originator").to_numpy(dtype=bool),
            np.zeros(len(spells), bool),
        ]
    one_began, two_began = (np.where(swapped, began[1 - i], began[i]) for i in (0, 1))
    out["initiator"] = np.select(
        [one_began & two_began, one_began, two_began], ["both", "a", "b"], "unclear"
    )
    turned = spells["outcome"].replace(dict(OTHER_SIDE))
    out["outcome"] = spells["outcome"].where(~swapped, turned)
    for column in ("start", "end"):
        out[column] = spells[column].astype("datetime64[s]")
    for column in ("start_precision", "end_precision", "level", "settlement"):
        out[column] = spells[column]
    out["deaths_class"] = spells["deaths_class"].astype("Int64")
    out["source"] = source
    order = np.argsort(out["start"].to_numpy(), kind="stable")
    earlier = np.empty(len(out), dtype=np.int64)
    groups = out.iloc[order].groupby(["conflict_id", "ccode_a", "ccode_b"])
    earlier[order] = groups.cumcount().to_numpy()
    again = np.where(earlier > 0, np.char.add(".", (earlier + 1).astype(str)), "")
    out["conflict_id"] += pd.array(again, dtype="str")
    return out


#: Name of the onset column by layout; those after the first keep one dispute a pair and year.
_ONSETS = ("midonset", "gmlmidonset", "cowmidonset")
_PAIR = ["number", "ccode_1", "ccode_2"]


def is_dyad_years(columns: Sequence[str]) -> bool:
    """Whether a file with these columns (lower case) has the layout."""
    return {"dispnum", "ccode1", "ccode2", "year"} <= set(columns) and any(
        name in columns for name in _ONSETS
    )


def read_dyad_years(
    path: Path, *, prefix: str, label: str, dated: pd.DataFrame | None = None
) -> Reading:
    """Conflicts: one row for each spell of a pair in a dispute.

    A spell begins in a year that the source flags as an onset, and lasts over the years that
    follow without a gap and without a further onset. The first year of a pair in a dispute is an
    onset even if GML 2.1.1 does not flag it (six pairs; 2.2.1 does). In a reduced table it is
    not, if the pair has another dispute in the year before: the onset is then that year's.

    Dates are known to the year; to the month for a pair of originators in the first and last year
    of the dispute; as in `dated` (spells of pairs with known days, as `opposed_pairs` returns)
    where their years agree. The coverage is that of the years listed.
    """
    onset = next((name for name in _ONSETS if name in columns_of(path)), _ONSETS[0])
    table = _read_dyad_years(path, onset)
    _check_directed(table, path)
    table = table[table["sidea1"] == 1].copy()
    if table.empty:
        raise DataError(f"{path.name}: no row has side A first (sidea1 = 1), expected half of all.")
    first, last = int(table["year"].min()), int(table["year"].max())
    table = table.drop_duplicates([*_PAIR, "year"]).sort_values([*_PAIR, "year"], kind="stable")
    years = _spell_years(table, reduced=onset != "midonset")
    spells = _dyad_spells(table, years, path, last)
    if dated is not None:
        spells = _with_dates(spells, dated, last)
    version = table["version"].dropna()
    source = f"{label} {'' if version.empty else version.iloc[0].removeprefix('gml-')}".rstrip()
    conflicts = conflicts_of(spells, prefix=prefix, label=f"{label} dispute", source=source)
    return reading_of("conflicts", conflicts, file=path.name, first=first, last=last)


def _read_dyad_years(path: Path, onset: str) -> pd.DataFrame:
    columns: dict[str, Kind] = dict.fromkeys(
        ("dispnum", "ccode1", "ccode2", onset, "sidea1", "sidea2", "orig1", "orig2"), "int"
    )
    columns |= {"year": "year", "hostlev": "int", "fatality": "int?"}
    optional: dict[str, Kind] = dict.fromkeys(
        ("outcome", "settle", "stmon", "endmon", "ongo2010"), "int?"
    )
    optional["version"] = "str?"
    names = {"dispnum": "number", "ccode1": "ccode_1", "ccode2": "ccode_2", onset: "onset"}
    return read_official(path, columns, optional=optional, rename=names)


def _check_directed(table: pd.DataFrame, path: Path) -> None:
    """Both directions of every row are there, with the sides exchanged."""
    alone = without_mirror(table, ["number", "year"], (_PAIR[1:], ["sidea1", "sidea2"]))
    alone |= (table["sidea1"] == table["sidea2"]).to_numpy()
    if alone.any():
        row = table.iloc[int(np.flatnonzero(alone)[0])]
        raise DataError(
            f"{path.name}, row {row.name}: the pair {row['ccode_1']} and {row['ccode_2']} is in "
            f"dispute {row['number']} in {row['year']} without its other direction, expected both, "
            f"with sides 1 and 0 exchanged. ({int(alone.sum()) - 1} more of this kind in the file.)"
        )


def _spell_years(table: pd.DataFrame, *, reduced: bool) -> pd.DataFrame:
    """Number of the spell of each row (``spell``) and the year it began (``began``)."""
    groups = table.groupby(_PAIR, sort=False)
    step = groups["year"].diff()
    out = pd.DataFrame({"number": table["number"], "year": table["year"]})
    starts = step.isna() | (table["onset"] == 1)
    # A gap that is not flagged as an onset would be bridged: the dispute merely continues.
    out["spell"] = starts.cumsum()
    out["began"] = table["year"].where(starts).groupby(out["spell"]).transform("first").astype(int)
    if reduced:
        pair = table[["ccode_1", "ccode_2"]]
        rows = list(zip(pair.min(axis=1), pair.max(axis=1), table["year"], strict=True))
        flagged = (table["onset"] == 1).to_numpy(dtype=bool)
        known = set(rows)
        onsets = {row for row, flag in zip(rows, flagged, strict=True) if flag}
        for i in np.flatnonzero(starts.to_numpy(dtype=bool) & ~flagged):
            (a, b, year), spell = rows[i], out["spell"].iloc[i]
            while (a, b, year) in known and (a, b, year) not in onsets:
                year -= 1
            if (a, b, year) in onsets:
                out["began"] = out["began"].mask(out["spell"] == spell, year)
    return out


def _dyad_spells(table: pd.DataFrame, years: pd.DataFrame, path: Path, last: int) -> pd.DataFrame:
    """One row per spell in terms of sides, dated by year and month."""
    ends = years.groupby("spell")["year"].transform("max")
    dispute_first = table.groupby("number")["year"].transform("min")
    dispute_last = table.groupby("number")["year"].transform("max")
    head = ~years["spell"].duplicated()
    one = table[head]
    began, ended = years.loc[head, "began"], ends[head]
    out = one[[*_PAIR]].copy()
    origins = {1: "originator", 0: "joiner"}
    for i in (1, 2):
        out[f"role_{i}"] = coded(one, f"orig{i}", origins, file=path.name)
    out["start"], out["end"] = year_dates(began), year_dates(ended, last=True)
    out["start_precision"], out["end_precision"] = "year", "year"
    both = (out["role_1"] == "originator") & (out["role_2"] == "originator")
    # The months are those of the dispute: they date the pairs that were in it from its first day.
    opens = both & (began == dispute_first[head]) & one["stmon"].between(1, 12)
    # In the last year covered a dispute may not have ended: its month could be that of a later one.
    closes = both & (ended == dispute_last[head]) & (ended < last) & one["endmon"].between(1, 12)
    for column, rows, month in (("start", opens, "stmon"), ("end", closes, "endmon")):
        at = rows.fillna(False).to_numpy(dtype=bool)
        parts = pd.DataFrame({"year": out.loc[at, column].dt.year, "month": one.loc[at, month]})
        out.loc[at, column] = dates_of(parts, ("year", "month"), last=column == "end")[0]
        out.loc[at, f"{column}_precision"] = "month"
    early = (out["end"] < out["start"]).to_numpy(dtype=bool)
    out.loc[early, "end"] = year_dates(ended[early], last=True)
    out.loc[early, "end_precision"] = "year"
    out["level"] = coded(one, "hostlev", HOSTILITY, file=path.name)
    out["deaths_class"] = fatality_class(one, "fatality", file=path.name)
    out["outcome"] = coded(one, "outcome", OUTCOMES, file=path.name, missing="unclear")
    out["settlement"] = coded(one, "settle", SETTLEMENTS, file=path.name, missing="unclear")
    open_end = ((one["ongo2010"] == 1) & (ended == last)).fillna(False).to_numpy(dtype=bool)
    out.loc[open_end, "end"] = pd.NaT
    out.loc[open_end, ["outcome", "settlement"]] = ["ongoing", "unclear"]
    return out


def _with_dates(spells: pd.DataFrame, dated: pd.DataFrame, last: int) -> pd.DataFrame:
    """The days of `dated` in place of years, where pair, dispute and year agree."""
    out = spells.copy()
    going_on = dated[dated["end"].isna() | (dated["end"].dt.year > last)]
    still = pd.MultiIndex.from_frame(out[_PAIR]).isin(pd.MultiIndex.from_frame(going_on[_PAIR]))
    still &= (out["end"].dt.year == last).to_numpy(dtype=bool)
    out.loc[still, "end"] = pd.NaT
    out.loc[still, ["outcome", "settlement"]] = ["ongoing", "unclear"]
    for column in ("start", "end"):
        known = dated.assign(year=dated[column].dt.year).dropna(subset=["year"])
        known = known.sort_values(column, kind="stable", ascending=column == "start")
        known = known.drop_duplicates([*_PAIR, "year"])
        index = pd.MultiIndex.from_frame(known[[*_PAIR, "year"]].astype(int))
        wanted = out.assign(year=out[column].dt.year.fillna(0))[[*_PAIR, "year"]].astype(int)
        at = index.get_indexer(pd.MultiIndex.from_frame(wanted))
        for name in (column, f"{column}_precision"):
            values = known[name].to_numpy()
            out.loc[at >= 0, name] = values[at[at >= 0]]
    early = (out["end"] < out["start"]).to_numpy(dtype=bool)
    year = out.loc[early, "end"].dt.year
    out.loc[early, "end"] = year_dates(year, last=True)
    out.loc[early, "end_precision"] = "year"
    return out
